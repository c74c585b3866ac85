"""How a step runs - device, precision, memory format - never what it computes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from translate.data.batch import Batch
from translate.data.images import to_float
from translate.errors import ConfigurationError

Precision = Literal["auto", "float32", "bf16"]
AnyBatch = TypeVar("AnyBatch", bound=Batch)


@dataclass(frozen=True)
class Engine:
    """Where and in what number format a step runs. Weights, optimizers and losses stay in float32."""

    device: torch.device
    bf16: bool = False
    channels_last: bool = False

    def place(self, batch: AnyBatch) -> AnyBatch:
        """The loader's integer images as float32 in [-1, 1] on the device, in the engine's memory format; labels and
        points, which are floating point already, only move."""
        return batch.map(self._place)

    def _place(self, values: Tensor) -> Tensor:
        moved = values.to(self.device, non_blocking=True)
        return moved if moved.is_floating_point() else self.layout(to_float(moved))

    def layout(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=self.memory_format)

    def adopt(self, model: nn.Module) -> None:
        """Moves a model to the device, its convolutions' weights in the engine's memory format."""
        model.to(self.device, memory_format=self.memory_format)  # type: ignore[call-overload]

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else str(self.device)
        precision = "bf16" if self.bf16 else "float32"
        threads = f", {torch.get_num_threads()} threads" if self.device.type == "cpu" else ""
        return f"{name}{threads}, {precision}, {'channels last' if self.channels_last else 'channels first'}"


def choose_device(name: str) -> torch.device:
    """`auto` (cuda, else mps, else cpu), `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises ConfigurationError for a device that is unknown or absent: what was asked for is never silently replaced.
    """
    if name == "auto":
        found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(found)
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigurationError(f"--device {name}: expected auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"--device {name}: {torch.cuda.device_count()} CUDA devices are visible; use --device cpu, or check "
            "the driver and CUDA_VISIBLE_DEVICES"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigurationError(f"--device {name}: no Apple GPU is available here; use --device cpu")
    return device


def choose_engine(device: str = "auto", precision: Precision = "auto") -> Engine:
    """The fastest right way on `device`: bf16 where its matrix units have it, channels last beside it."""
    chosen = choose_device(device)
    bf16 = precision == "bf16" or (precision == "auto" and _has_fast_bf16(chosen))
    return Engine(chosen, bf16=bf16, channels_last=chosen.type != "mps")


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
