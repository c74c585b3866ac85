"""Storage for whole feature maps while a network processes their bands: in memory or in an unnamed temporary file."""

import tempfile
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor


class Store(ABC):
    """A map (1, channels, height, width), written and read by rows. Its memory or file is freed with the object."""

    @abstractmethod
    def write(self, top: int, rows: Tensor) -> None:
        """Writes rows (1, channels, count, width), from any device, starting at row `top`."""

    @abstractmethod
    def read(self, top: int, bottom: int) -> Tensor:
        """Returns rows `top` to `bottom` - 1, on the CPU, with channels last in memory."""


class MemoryStore(Store):
    """Keeps the map in the CPU's memory."""

    def __init__(self, channels: int, height: int, width: int, dtype: torch.dtype) -> None:
        self._rows = torch.empty(height, width, channels, dtype=dtype)

    def write(self, top: int, rows: Tensor) -> None:
        self._rows[top : top + rows.shape[2]] = _rows_first(rows)

    def read(self, top: int, bottom: int) -> Tensor:
        return _channels_first(self._rows[top:bottom])


class FileStore(Store):
    """Keeps the map in a file in the system's temporary folder (TMPDIR).

    The file is read and written, not mapped, because mapped pages would count as memory of this process.
    """

    def __init__(self, channels: int, height: int, width: int, dtype: torch.dtype) -> None:
        self._file = tempfile.TemporaryFile(prefix="translate-map-")  # noqa: SIM115
        self._shape, self._dtype = (width, channels), dtype
        self._bytes_per_row = width * channels * dtype.itemsize

    def write(self, top: int, rows: Tensor) -> None:
        self._file.seek(top * self._bytes_per_row)
        # As bytes, because NumPy has no bfloat16.
        self._file.write(_rows_first(rows).contiguous().view(torch.uint8).numpy().data)

    def read(self, top: int, bottom: int) -> Tensor:
        self._file.seek(top * self._bytes_per_row)
        count = (bottom - top) * self._bytes_per_row
        # The map is written whole before it is read; fewer bytes mean that someone else truncated the file.
        values = np.frombuffer(bytearray(self._file.read(count)), np.uint8)
        return _channels_first(torch.from_numpy(values).view(self._dtype).view(bottom - top, *self._shape))


def _rows_first(rows: Tensor) -> Tensor:
    """Turns (1, channels, height, width) into (height, width, channels), where a band of rows is contiguous."""
    return rows[0].permute(1, 2, 0).cpu()


def _channels_first(rows: Tensor) -> Tensor:
    return rows.permute(2, 0, 1)[None]
