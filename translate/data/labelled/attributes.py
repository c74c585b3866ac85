"""Attribute files in CelebA's format: a text file with a count, the names, and a row of 1 and -1 for each image."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np

from translate.data.labelled.labelling import Labelling, require_few, require_small
from translate.data.labelled.table import Table, labelling, refuse_repetition
from translate.errors import ConfigurationError
from translate.utils.printing import shown

LOOKED_FOR = "list_attr*.txt: a row of names, then rows of `file 1 -1 ...`"
PARTITION = "list_eval_partition.txt"
SPLITS = {"0": "train", "1": "validation", "2": "test"}


def read_attributes(root: Path, follow_links: bool) -> Labelling | None:
    """Reads the attribute file in `root`, None if there is none. Raises ConfigurationError that names file and line."""
    table = attribute_table(root)
    return None if table is None else labelling(root, table, follow_links)


def attribute_table(root: Path) -> Table | None:
    """The rows of the attribute file in `root`; see `read_attributes`."""
    path = find_attributes(root)
    if path is None:
        return None
    rows = list(lines_of(path))
    warnings = []
    announced = int(rows.pop(0)[1][0]) if rows and is_count(rows[0][1]) else None
    if len(rows) < 2:
        raise ConfigurationError(f"{shown(path)}: no rows; expected the names of attributes, then `file 1 -1 ...`")
    if announced not in (None, len(rows) - 1):
        warnings.append(f"{shown(path.name)} announces {announced} rows but has {len(rows) - 1}")
    (first, names), rows = rows[0], rows[1:]
    require_few(f"{shown(path)}, line {first}", len(names), len(rows))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigurationError(f"{shown(path)}, line {first}: the attribute {shown(twice)} is there twice")
    lines: dict[str, int] = {}
    for line, (file, *values) in rows:
        if len(values) != len(names):
            raise ConfigurationError(
                f"{shown(path)}, line {line}: {len(values)} values after the file, for {len(names)} attributes"
            )
        if wrong := next((value for value in values if value not in ("1", "-1", "0")), None):
            raise ConfigurationError(f"{shown(path)}, line {line}: the value {shown(wrong)}; expected 1 or -1")
        refuse_repetition(path, lines, file, line)
        lines[file] = line
    tokens = np.array([values for _, (_, *values) in rows])
    refuse_both(path, tokens, list(lines.values()))
    return Table(
        path=path,
        names=tuple(names),
        exclusive=False,
        files=tuple(PurePosixPath(file).as_posix() for file in lines),
        labels=(tokens == "1").astype(np.float32),
        splits=_partition(root, lines),
        in_file_order=True,
        warnings=tuple(warnings),
    )


def refuse_both(path: Path, tokens: np.ndarray, lines: list[int]) -> None:
    """Raises ConfigurationError if tokens (rows, names) of these lines hold 0 and -1: what 0 means is unclear."""
    zeros, negatives = (tokens == "0").any(1), (tokens == "-1").any(1)
    if zeros.any() and negatives.any():
        line = lines[max(int(zeros.argmax()), int(negatives.argmax()))]
        raise ConfigurationError(f"{shown(path)}, line {line}: 0 and -1 in one file; write 1 and -1, or 1 and 0")


def find_attributes(root: Path) -> Path | None:
    """Returns the attribute file in `root`, or None. Raises ConfigurationError if there are several."""
    texts = sorted(path for path in root.glob("*.txt") if path.is_file())
    named = [path for path in texts if path.name.lower().startswith("list_attr")]
    found = named or [path for path in texts if _looks_like_attributes(path)]
    if len(found) > 1:
        listed = ", ".join(shown(path.name) for path in found)
        raise ConfigurationError(f"{shown(root)}: more than one attribute file: {listed}; keep one of them there")
    return found[0] if found else None


def _looks_like_attributes(path: Path) -> bool:
    try:
        rows = [fields for _, fields in islice(lines_of(path), 3)]
    except ConfigurationError:
        return False  # some other file
    rows = rows[1:] if rows and is_count(rows[0]) else rows
    return len(rows) > 1 and len(rows[1]) == len(rows[0]) + 1 and set(rows[1][1:]) <= {"1", "-1", "0"}


def is_count(fields: list[str]) -> bool:
    """Returns whether the fields of a line are the number of rows."""
    return len(fields) == 1 and bool(re.fullmatch(r"[0-9]{1,12}", fields[0]))


def lines_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the line number and fields of each non-empty line."""
    require_small(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            yield from ((number, fields) for number, line in enumerate(file, 1) if (fields := line.split()))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{shown(path)}: cannot be read as text: {error}") from error


def _partition(root: Path, lines: dict[str, int]) -> tuple[str, ...] | None:
    """Returns the split of each image from the partition file, or None if there is no such file."""
    path = root / PARTITION
    if not path.is_file():
        return None
    splits = {}
    for line, fields in lines_of(path):
        if len(fields) != 2 or fields[1] not in SPLITS:
            raise ConfigurationError(
                f"{shown(path)}, line {line}: expected a file and 0 (train), 1 (validation) or 2 (test), "
                f"not {shown(' '.join(fields))}"
            )
        splits[fields[0]] = SPLITS[fields[1]]
    if missing := [file for file in lines if file not in splits]:
        raise ConfigurationError(f"{shown(path)}: no row for {shown(missing[0])}, nor for {len(missing) - 1} others")
    return tuple(splits[file] for file in lines)
