"""Files of weights that torch.save wrote, read without running what is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


class UnsafeFileError(ValueError):
    """The file would call a function when it is loaded, and is not."""


def read_weights(path: Path | str) -> Mapping[str, Any]:
    """The state dict in a .pth file (either torch format), on the CPU; no code in it is run.

    Raises FileNotFoundError, UnsafeFileError naming what the file wants to call, and ValueError for a file that is
    damaged or holds something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # unpickling, zip and end-of-file errors, by the file's kind of damage
        # torch's own words advise to load it with weights_only=False, which would run what is in it.
        if called := re.search(r"(?:GLOBAL|global) ([\w.]+)", str(error)):
            raise UnsafeFileError(
                f"{path}: not a file of weights: it wants to call {called[1]}, and is not loaded"
            ) from error
        raise ValueError(f"{path}: not a file of weights: damaged, or something else") from error
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected a state dict (names to tensors), found {type(state).__name__}")
    return state
