"""Tensors in files, read into memory."""

from pathlib import Path

from safetensors.torch import load
from torch import Tensor


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file, on the CPU. Raises OSError, SafetensorError.

    Read, where the library's `load_file` maps: the system ends a process that looks at what others have cut off since.
    """
    return load(path.read_bytes())
