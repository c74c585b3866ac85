"""Reads weights written by torch.save without running any code in the file."""

import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_BEGINNINGS = {
    b"version https://git-lfs": "a pointer of Git LFS in place of the file: fetch the file itself (git lfs pull)",
    b"<": "a web page: the download did not give the file",
    b"\x89HDF": "an HDF5 file, as Keras writes them; it is not read here",
    b"\x93NUMPY": "a NumPy array; it is not read here",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
}
"""What files are that are taken for weights, by their first bytes."""


class UnsafeFileError(ValueError):
    """Loading the file would call a function, so it is not loaded."""


def read_weights(path: Path | str) -> Mapping[str, Any]:
    """Reads the state dict in a .pth file (either torch format), on the CPU, without running any code in it.

    Raises FileNotFoundError, UnsafeFileError naming what the file wants to call, and ValueError for a file that is
    damaged, holds something else, or would take more memory than its size says.
    """
    _refuse_compressed(Path(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of TorchScript; the error below says it
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # unpickling, zip or end-of-file errors, depending on the damage
        # torch's own message recommends weights_only=False, which would run the file's code.
        if called := re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error)):
            raise UnsafeFileError(
                f"{path}: not a file of weights: loading it would call {called[1]}, so it is not loaded. If that is "
                "the class of a network, the whole module was saved: where its program is, and the file is trusted, "
                "torch.save(module.state_dict(), 'weights.pth') writes its weights alone"
            ) from error
        raise ValueError(f"{path}: not a file of weights: {_else(path, str(error))}") from error
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected a state dict (names to tensors), found {type(state).__name__}")
    for key, value in _tensors(state):
        if not _lies_in_the_file(value):
            raise ValueError(f"{path}: {key} is {tuple(value.shape)}, and the file does not hold so many numbers")
    return state


def _tensors(contents: Mapping[Any, Any], depth: int = 8) -> Iterator[tuple[str, Tensor]]:
    """All tensors, in parts within parts too, with their keys. Raises ValueError for parts too deep."""
    if not depth:
        raise ValueError("nested far too deeply")
    for key, value in contents.items():
        if isinstance(value, Tensor):
            yield str(key), value
        elif isinstance(value, Mapping):
            yield from _tensors(value, depth - 1)


def _else(path: Path | str, said: str) -> str:
    """What the file is that torch.load refused with these words."""
    if "TorchScript" in said:
        return "a TorchScript archive; its program writes the weights alone, torch.save(module.state_dict(), ...)"
    with open(path, "rb") as file:
        begins = file.read(32)
    if begins[8:9] == b"{" and int.from_bytes(begins[:8], "little") < 1 << 30:
        return "a safetensors file; of ours, give the folder that holds it; others' are not read here"
    known = (what for beginning, what in _BEGINNINGS.items() if begins.startswith(beginning))
    return next(known, "damaged, or something else")


def not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """The key of the first of the weights with a number that is not finite, with which a network gives black images."""
    return next((key for key, value in weights.items() if not value.isfinite().all()), None)


def _lies_in_the_file(tensor: Tensor) -> bool:
    """Whether every element has a place of its own: a stride of 0 makes a huge tensor out of one number."""
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()


def _refuse_compressed(path: Path) -> None:
    """torch.save compresses nothing, so a file that unpacks to more than its size is a bomb. Raises ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as file:
                unpacked = sum(entry.file_size for entry in file.infolist())
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise ValueError(f"{path}: not a file of weights: damaged, or something else") from error
        if unpacked > 2 * path.stat().st_size + (1 << 20):
            raise ValueError(f"{path}: not a file of weights: it unpacks to {unpacked:,} bytes, more than its size")
