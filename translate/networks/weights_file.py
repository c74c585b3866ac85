"""Reads weights written by torch.save without running any code in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


class UnsafeFileError(ValueError):
    """Loading the file would call a function, so it is not loaded."""


def read_weights(path: Path | str) -> Mapping[str, Any]:
    """Reads the state dict in a .pth file (either torch format), on the CPU, without running any code in it.

    Raises FileNotFoundError, UnsafeFileError naming what the file wants to call, and ValueError for a file that is
    damaged or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # unpickling, zip or end-of-file errors, depending on the damage
        # torch's own message recommends weights_only=False, which would run the file's code.
        if called := re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error)):
            raise UnsafeFileError(
                f"{path}: not a file of weights: it wants to call {called[1]}, and is not loaded"
            ) from error
        raise ValueError(f"{path}: not a file of weights: damaged, or something else") from error
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected a state dict (names to tensors), found {type(state).__name__}")
    return state
