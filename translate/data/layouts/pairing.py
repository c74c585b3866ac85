"""Whether two folders of images are pairs, and which images are each other's partners."""

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Literal

from translate.data.layouts.columns import Column, matched
from translate.data.layouts.likeness import no_pairs
from translate.data.layouts.splits import WHOLE
from translate.data.messages import few
from translate.errors import ConfigurationError
from translate.utils.printing import shown

Kind = Literal["paired", "unpaired"]
Columns = dict[str, tuple[Column, ...]]
"""Images by split: of each domain, or of files that hold both sides of a pair."""
MATCHED = 0.9
"""Two folders count as pairs if at least this share of the larger one's names is in both."""
CANNOT_BE_UNPAIRED = (
    "each file holds both images of a pair, side by side; to train without pairs, split them into trainA/ and trainB/"
)


def paired_up(
    root: Path, columns: Columns, said: str | None, wanted: Kind | None, warnings: list[str]
) -> tuple[Kind, Columns, str]:
    """Returns the kind, the columns (of pairs: with names in both), and a remark on the kind; see `kind_of`."""
    if said == "paired":
        columns = named_alike(columns)
    kind, remark = kind_of(root, columns, said, wanted)
    if kind == "paired":
        columns = {split: matched(split, sides, warnings) for split, sides in columns.items()}
    return kind, columns, remark


def kind_of(root: Path, images_of: Columns, said: str | None, wanted: Kind | None) -> tuple[Kind, str]:
    """Returns the kind, and what is to be added to the words for it.

    That is what is `said`; else pairs have equal names and look like pairs. Where the images speak against equal names,
    it is the kind `wanted`, else unpaired. Raises ConfigurationError if what is said cannot be.
    """
    columns = images_of["train"] if "train" in images_of else images_of[WHOLE]
    if len(columns) == 1:
        if said == "unpaired":
            raise ConfigurationError(f"{shown(root)}: {CANNOT_BE_UNPAIRED}")
        return "paired", ""
    a, b = columns
    both = [name for name in a if name in b]
    if said == "paired" and not both:
        raise ConfigurationError(
            f"{shown(root)}: no pairs: the two images of a pair have the same file name, "
            f"but {shown(next(iter(a)))} of one domain is not in the other"
        )
    if said in ("paired", "unpaired"):
        return ("paired" if said == "paired" else "unpaired"), ""
    if len(both) < MATCHED * max(len(a), len(b)):
        return "unpaired", _nearly_paired(a, b)
    if doubt := no_pairs([(a[name], b[name]) for name in both]):
        return wanted or "unpaired", _DOUBTS[wanted or "unpaired"].format(doubt)
    return "paired", _nearly_paired(a, b)


_DOUBTS = {
    "unpaired": ", with equal names in both, but no pairs: {} (if they are pairs, set data.layout=paired)",
    "paired": ", by equal names only: {}; without pairs, train with a method for unpaired images (CycleGAN)",
}


def named_alike(images_of: Columns) -> Columns:
    """Returns pairs, or samples of several images, by names without the tail that all names of a folder have, if no
    name is in all: 1_label and 1_photo, as in pix2pixHD's folders. Otherwise, or if that gives none either, returns
    them as they are."""
    trained = images_of["train"] if "train" in images_of else images_of[WHOLE]
    if len(trained) < 2 or _common(trained):
        return images_of
    tails = [_tail([name for columns in images_of.values() for name in columns[side]]) for side in range(len(trained))]
    cut = {
        split: tuple(
            {name.removesuffix(tail): path for name, path in column.items()}
            for tail, column in zip(tails, columns, strict=True)
        )
        for split, columns in images_of.items()
    }
    return cut if _common(cut["train"] if "train" in cut else cut[WHOLE]) else images_of


def _common(columns: Sequence[Column]) -> set[str]:
    """The names that are in all columns."""
    return set[str](columns[0]).intersection(*columns[1:])


def _tail(names: list[str]) -> str:
    """Returns the end that all names have in common, from its first separator on: _label."""
    letters = zip(*(reversed(name) for name in names), strict=False)
    common = "".join(same[0] for same in takewhile(lambda each: len(set(each)) == 1, letters))
    match = re.search(r"[-_. ].*", common[::-1])
    return match[0] if match and len(names) > 1 else ""


def _nearly_paired(a: Column, b: Column) -> str:
    """Describes the files without a partner if most have one, as that may be a mistake; else returns ""."""
    alone = [path for name, path in (*a.items(), *b.items()) if name not in a or name not in b]
    both = len(a.keys() & b.keys())
    if not alone or 2 * both <= max(len(a), len(b)):
        return ""
    return (
        f"; {both} names are in both domains, without a partner are {few(alone)}; "
        "if they are pairs, set data.layout=paired to leave those out"
    )
