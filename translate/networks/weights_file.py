"""Reads weights written by torch.save without running any code in the file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

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
    damaged or holds something else.
    """
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
                f"{path}: not a file of weights: it wants to call {called[1]}, and is not loaded. If that is the class "
                "of a network, the whole module was saved: where its program is, and the file is trusted, "
                "torch.save(module.state_dict(), 'weights.pth') writes its weights alone"
            ) from error
        raise ValueError(f"{path}: not a file of weights: {_else(path, str(error))}") from error
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected a state dict (names to tensors), found {type(state).__name__}")
    return state


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
