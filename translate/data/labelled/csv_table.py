"""Labels from a CSV file: `file,label`, or `file` and one column per attribute."""

import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from io import StringIO
from pathlib import Path, PurePosixPath

import numpy as np

from translate.data.labelled.attributes import refuse_both
from translate.data.labelled.labelling import Labelling, in_order, one_hot, require_few, require_small
from translate.data.labelled.table import Table, labelling, refuse_repetition
from translate.data.labels import UNKNOWN
from translate.data.layouts.splits import SPLITS
from translate.errors import ConfigurationError, nearest
from translate.utils.printing import shown

LOOKED_FOR = "labels.csv with `file,label`, or `file` and one column for each attribute"
FILE, LABEL, SPLIT = "file", "label", "split"
FILE_TOO = (FILE, "filename", "image", "image_id", "path")
VALUES = {"yes": "1", "true": "1", "no": "0", "false": "0", "": "", "nan": ""}
"""What stands for 1, for 0 and for what is unknown; 1.0, 0.0 and -1.0 count as the whole numbers."""
INDEX = re.compile(r"(unnamed: *\d+|index)?", re.IGNORECASE)
"""Names of a first column of row numbers, as table programs write it."""


def read_csv(root: Path, follow_links: bool) -> Labelling | None:
    """Reads the table in `root`, None if there is none. Raises ConfigurationError that names file and line."""
    table = csv_table(root)
    return None if table is None else labelling(root, table, follow_links)


def csv_table(root: Path) -> Table | None:
    """The rows of the table in `root`; see `read_csv`."""
    path = root / "labels.csv"
    if not path.is_file():
        tables = sorted(path for path in root.glob("*.csv") if path.is_file())
        if len(tables) != 1 or not _looks_like_labels(tables[0]):
            return None
        path = tables[0]
    rows = rows_of(path)
    if not rows:
        raise ConfigurationError(f"{shown(path)}: empty; expected {LOOKED_FOR}")
    header, rows = rows[0][1], rows[1:]
    require_few(f"{shown(path)}, line 1", len(header), len(rows))
    _check_header(path, header)
    if not rows:
        raise ConfigurationError(f"{shown(path)}: no rows below the names of the columns")
    lines: dict[str, int] = {}
    for line, row in rows:
        if len(row) != len(header):
            raise ConfigurationError(f"{shown(path)}, line {line}: {len(row)} fields under {len(header)} columns")
        file = PurePosixPath(row[0].replace("\\", "/")).as_posix()
        if not row[0]:
            raise ConfigurationError(f"{shown(path)}, line {line}: no file")
        refuse_repetition(path, lines, file, line)
        lines[file] = line
    columns = dict(zip(header, zip(*(row for _, row in rows), strict=True), strict=True))
    del columns[header[0]]
    numbers = list(lines.values())
    splits = _splits(path, columns.pop(SPLIT), numbers) if SPLIT in columns else None
    warnings: tuple[str, ...] = ()
    if LABEL in columns:
        names, labels = _classes(path, columns.pop(LABEL), numbers)
        exclusive = True
        if columns:
            warnings = (f"{shown(path.name)}: columns beside file, label and split are ignored: {', '.join(columns)}",)
    else:
        names, labels, exclusive = tuple(columns), _attributes(path, columns, numbers), False
    return Table(path, names, exclusive, tuple(lines), labels, splits, warnings=warnings)


def _looks_like_labels(path: Path) -> bool:
    """Returns whether a CSV file not named labels.csv holds labels, as other tables may accompany images."""
    try:
        rows = [row for _, row in rows_of(path)[:2]]
    except ConfigurationError:
        return False
    if len(rows) < 2 or rows[0][0] not in FILE_TOO:
        return False
    values = [value for name, value in zip(rows[0][1:], rows[1][1:], strict=False) if name != SPLIT]
    return LABEL in rows[0] or (bool(values) and all(plain(value) is not None for value in values))


def rows_of(path: Path) -> list[tuple[int, list[str]]]:
    """Returns the line number and fields of each non-empty row, without a first column of row numbers."""
    require_small(path)
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
        reader = csv.reader(
            StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True, skipinitialspace=True
        )
        rows = [(reader.line_num, [field.strip() for field in row]) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{shown(path)}: cannot be read as CSV: {error}") from error
    header = rows[0][1] if rows else []
    indexed = len(header) > 1 and INDEX.fullmatch(header[0]) and header[1] in FILE_TOO
    return [(line, row[1:]) for line, row in rows] if indexed else rows


def delimiter_of(text: str) -> str:
    """Returns what separates the names of the columns: a comma, a semicolon or a tab."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=header.count)


def _check_header(path: Path, header: list[str]) -> None:
    where = f"{shown(path)}, line 1"
    if header[0] not in FILE_TOO or len(header) < 2:
        raise ConfigurationError(
            f"{where}: {shown(','.join(header))}: expected {LOOKED_FOR}, separated by commas, semicolons or tabs"
        )
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise ConfigurationError(f"{where}: the column {shown(twice)!r} is there twice")
    if not all(header):
        raise ConfigurationError(f"{where}: column {header.index('') + 1} has no name")
    if set(header[1:]) == {SPLIT}:
        raise ConfigurationError(f"{where}: no labels; expected {LOOKED_FOR}")


def _splits(path: Path, column: tuple[str, ...], lines: list[int]) -> tuple[str, ...]:
    for line, value in zip(lines, column, strict=True):
        if value.lower() not in SPLITS:
            hint = nearest(value.lower(), SPLITS)
            raise ConfigurationError(f"{shown(path)}, line {line}: no split {shown(value)!r}{hint}")
    return tuple(SPLITS[value.lower()] for value in column)


def _classes(path: Path, column: tuple[str, ...], lines: list[int]) -> tuple[tuple[str, ...], np.ndarray]:
    for line, value in zip(lines, column, strict=True):
        if not value:
            raise ConfigurationError(f"{shown(path)}, line {line}: no label")
    names = tuple(in_order(set(column)))
    require_few(f"{shown(path)}: column {LABEL}", len(names), len(column))
    places = {name: index for index, name in enumerate(names)}
    return names, one_hot([places[value] for value in column], len(names))


def _attributes(path: Path, columns: dict[str, tuple[str, ...]], lines: list[int]) -> np.ndarray:
    for name, column in columns.items():
        for line, value in zip(lines, column, strict=True):
            if plain(value) is None:
                raise ConfigurationError(
                    f"{shown(path)}, line {line}: {name}: {shown(value)!r}; expected 1 or 0, yes or no, "
                    "true or false, or nothing where it is unknown"
                )
    tokens = np.array([[plain(value) for value in column] for column in columns.values()]).T
    refuse_both(path, tokens, lines)
    return np.select([tokens == "1", tokens != ""], [1, 0], UNKNOWN).astype(np.float32)


def plain(value: str) -> str | None:
    """Returns "1", "0", "-1", or "" for unknown; None for anything else."""
    if value.lower() in VALUES:
        return VALUES[value.lower()]
    match = re.fullmatch(r"\+?(-?[01])([.,]0*)?", value)
    return match[1].replace("-0", "0") if match else None
