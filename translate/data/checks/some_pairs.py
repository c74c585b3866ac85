"""Whether a set has pairs to learn from among images that are none (`data.pairs: some`)."""

from __future__ import annotations

from translate.data.layouts.folders import Folder
from translate.errors import ConfigurationError
from translate.utils.printing import shown


def require_some_pairs(folder: Folder) -> list[tuple[int, int]]:
    """Returns the places of the pairs to train on. Raises ConfigurationError that says what to do if there are none, or
    no others."""
    a, b = folder.splits["train"]
    if not folder.pairs:
        raise ConfigurationError(
            f"{shown(folder.root)}: data.pairs=some, and no pairs: the two images of a pair have the same file name, "
            f"but {shown(a[0].path)} and all others of {folder.domains[0]} are not in {folder.domains[1]}: name pairs "
            "so, or leave data.pairs out"
        )
    if not (known := folder.known("train")):
        raise ConfigurationError(
            f"{shown(folder.root)}: data.pairs=some, and none of the pairs is left to train on, without images that "
            "are held out or cannot be read: take another data.fold, repair the images, or leave data.pairs out"
        )
    if len(known) == len(a) == len(b):
        raise ConfigurationError(
            f"{shown(folder.root)}: data.pairs=some, and all {len(a):,} to train on are pairs: set data.pairs=all, or "
            "train with pix2pix, a method for pairs"
        )
    return known
