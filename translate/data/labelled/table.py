"""A table of files and their labels, whatever its format, and the images that its rows refer to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from translate.data.labelled.labelling import LabelledSplit, Labelling
from translate.data.layouts.columns import Scan, held_out, same_letters
from translate.data.layouts.splits import held_out_as
from translate.data.messages import few
from translate.data.source_file import Source
from translate.errors import ConfigurationError, folded
from translate.utils.printing import shown

TEST_LIMIT, TEST_SHARE = 1000, 8
"""The last images of a list without a partition are the test images: at most TEST_LIMIT, at most one in TEST_SHARE."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table of labels; rows are in the order of the file."""

    path: Path
    names: tuple[str, ...]
    exclusive: bool
    files: tuple[str, ...]
    labels: np.ndarray
    """(rows, names) float32."""
    splits: tuple[str, ...] | None = None
    """"train", "test" or "validation" for each row, if the data set says so."""
    in_file_order: bool = False
    """Without `splits`: whether the last rows are the test images; otherwise they are chosen by name."""
    warnings: tuple[str, ...] = ()


def labelling(root: Path, table: Table, follow_links: bool) -> Labelling:
    """Finds the images below `root` that the rows refer to. Raises ConfigurationError if there are none.

    Which are for training is what the table says, else the names of their folders (test/1.png), else chosen here.
    """
    scan = Scan(root, follow_links, list(table.warnings))
    paths = images_of(table, scan)
    rows = [row for row, path in enumerate(paths) if path is not None]
    splits = table.splits or by_folder(root, paths)
    if splits:
        chosen = {split: [row for row in rows if splits[row] == split] for split in set(splits)}
        origin = ""
    elif table.in_file_order:
        count = min(TEST_LIMIT, len(rows) // TEST_SHARE)
        chosen, origin = {"train": rows[: len(rows) - count], "test": rows[len(rows) - count :]}, "the last of the list"
    else:
        chosen, origin = _held_out(table, rows)
    parts = {
        split: LabelledSplit.of((Source(path) for row in part if (path := paths[row])), table.labels[part])
        for split, part in chosen.items()
    }
    return Labelling(table.path.name, table.names, table.exclusive, parts, origin).scanned(scan)


def by_folder(root: Path, paths: Sequence[Path | None]) -> tuple[str, ...] | None:
    """Returns the split of each image by the names of its folders, or None if no name speaks of tests."""
    folders = (path.relative_to(root).parts[:-1] if path else () for path in paths)
    splits = tuple(held_out_as(parts) or "train" for parts in folders)
    return splits if set(splits) != {"train"} else None


def _held_out(table: Table, rows: list[int]) -> tuple[dict[str, list[int]], str]:
    """Holds out test rows by name alone, separately for each class if there are classes."""
    groups: list[list[int]] = [rows]
    if table.exclusive:
        groups = [[row for row in rows if table.labels[row, i] == 1] for i in range(len(table.names))]
    columns = ({table.files[row]: Path(table.files[row]) for row in group} for group in groups)
    tested = {file for column in columns for file in held_out(column)[1]}
    chosen = {
        "train": [row for row in rows if table.files[row] not in tested],
        "test": [row for row in rows if table.files[row] in tested],
    }
    return chosen, f"held out{' of each class' if table.exclusive else ''}, chosen by a hash of the names"


def images_of(table: Table, scan: Scan) -> list[Path | None]:
    """Returns the image of each row, or None if it is missing; adds mismatches to the warnings of `scan`."""
    root, warnings = scan.root, scan.warnings
    inside = {_spelt(path.relative_to(root).as_posix()): path for path in scan.column(root).values()}
    files = [_spelt(file) for file in table.files]
    base = _base(files, inside)
    known = {name[len(base) :]: path for name, path in inside.items() if name.startswith(base)}
    # CelebA's list says .jpg even for its .png images.
    named = set(files)
    by_stem = {_stem(name): path for name, path in reversed(known.items()) if name not in named}
    paths = [known.get(file) or by_stem.get(_stem(file)) for file in files]
    missing = [file for file, path in zip(files, paths, strict=True) if path is None]
    if len(missing) == len(paths):
        raise ConfigurationError(
            f"{shown(table.path)}: none of its {len(paths)} images is in {shown(root)} or a folder below it, "
            f"neither {shown(missing[0])} nor another"
        )
    if missing:
        listed = folded([*map(shown, missing)])
        warnings.append(f"rows of {shown(table.path.name)} whose image is missing: {len(missing)}: {listed}")
    used = set(paths)
    if unlisted := [path for path in known.values() if path not in used]:
        warnings.append(f"images that {shown(table.path.name)} does not list are left out: {few(unlisted)}")
    return paths


def _base(files: Sequence[str], inside: Iterable[str]) -> str:
    """Returns the folder that rows are relative to, such as "images/" or "": the one that matches the most images."""
    stems = {_stem(file) for file in files}
    depths = {file.count("/") + 1 for file in files}
    hits: Counter[str] = Counter()
    for name in inside:
        parts = name.split("/")
        for depth in depths:
            tail = "/".join(parts[-depth:])
            if depth <= len(parts) and _stem(tail) in stems:
                hits[name.removesuffix(tail)] += 1
    return hits.most_common(1)[0][0] if hits else ""


def _spelt(name: str) -> str:
    """Returns a relative path with the letters and slashes of no particular system."""
    return PurePosixPath(same_letters(name.replace("\\", "/"))).as_posix()


def _stem(name: str) -> str:
    """Returns the name without its suffix."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and "/" not in suffix else name


def refuse_repetition(path: Path, lines: Mapping[str, int], file: str, line: int) -> None:
    """Raises ConfigurationError if `file` is already in `lines`, which holds the line number of each file so far."""
    if file in lines:
        raise ConfigurationError(f"{shown(path)}, line {line}: {shown(file)} is already in line {lines[file]}")
