"""Tables of labels: a CSV file, or a file of attributes as CelebA's; translations get rows of their own."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath

from translate.data.annotated.annotated_set import AnnotatedSet, Made, Original
from translate.data.labelled.attributes import PARTITION, attribute_table, is_count, lines_of
from translate.data.labelled.csv_table import LABEL, csv_table, delimiter_of, plain, rows_of
from translate.data.labelled.table import Table, by_folder, images_of
from translate.data.layouts.columns import Scan
from translate.utils.atomic_files import write_atomic

LOOKED_FOR = "labels.csv, or list_attr*.txt as CelebA's, beside the pictures"
Row = list[str]
"""A row as it stands in the file, its name first."""


@dataclass(frozen=True)
class Rows:
    """The rows of a table as they stand in its file, and how they are written."""

    header: Row
    rows: Sequence[Row]
    """As many as the table has, in its order."""
    text: Callable[[Row, Sequence[Row]], str]
    """The file, of header and rows."""


class TableSet(AnnotatedSet):
    """The row of a translation is its picture's, with another name, and with the labels that the model was asked to
    change."""

    def __init__(self, root: Path, table: Table, rows: Rows) -> None:
        self.table, self.rows, self._words = table, rows, dict[tuple[int, bool], str]()
        scan = Scan(root, True, list(table.warnings))
        paths = images_of(table, scan)
        splits = table.splits or by_folder(root, paths) or ("train",) * len(paths)
        originals, self._row_of = [], dict[Path, int]()
        for number, path in enumerate(paths):
            if path is None:
                continue
            labels = {name: int(value) for name, value in zip(table.names, table.labels[number], strict=True)}
            name = path.relative_to(root).as_posix()
            originals.append(Original(path, name, splits[number] == "train", labels=labels))
            self._row_of[path] = number
        super().__init__(root, originals, scan.all_warnings(one.path for one in originals))

    @property
    def called(self) -> str:  # type: ignore[override]
        return self.table.path.name

    @property
    def domains(self) -> tuple[str, ...]:
        return self.table.names

    @property
    def exclusive(self) -> bool:
        return self.table.exclusive

    def write(self, out: Path, made: Sequence[Made], originals: bool) -> None:
        new = [self._row(one) for one in made]
        own = [self.rows.rows[self._row_of[one.path]] for one in self.originals] if originals else []
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / self.table.path.name, self.rows.text(self.rows.header, [*own, *new]))
        if (parts := self.root / PARTITION).is_file() and not self.table.exclusive:
            part_of = {fields[0]: fields[1] for _, fields in lines_of(parts)}
            listed = [(row[0], part_of[row[0]]) for row in own] + [(row[0], "0") for row in new]
            write_atomic(out / PARTITION, "".join(f"{name} {part}\n" for name, part in listed))

    def _row(self, made: Made) -> Row:
        row = self.rows.rows[self._row_of[made.original.path]]
        name = PurePosixPath(row[0].replace("\\", "/")).with_name(PurePosixPath(made.name).name).as_posix()
        changed = [self._token(column, value, made.changes) for column, value in enumerate(row)]
        return [name, *changed[1:]]

    def _token(self, column: int, value: str, changes: Mapping[str, bool]) -> str:
        """What stands in a column of the header once the changes are made."""
        name = self.rows.header[column]
        if self.exclusive:
            return next((word for word, has in changes.items() if has), value) if name == LABEL else value
        if name not in changes or column == 0:
            return value
        return self._word_for(column, changes[name])

    def _word_for(self, column: int, has: bool) -> str:
        """The file's own word for having an attribute, or not: that of the column, else of any."""
        if (column, has) not in self._words:
            there = [row[column] for row in self.rows.rows] + [word for row in self.rows.rows for word in row[1:]]
            meaning = ("1",) if has else ("0", "-1")
            self._words[column, has] = next((word for word in there if plain(word) in meaning), "1" if has else "0")
        return self._words[column, has]


def find_attribute_set(root: Path) -> TableSet | None:
    """The set of the file of attributes in `root`; None if there is none. Raises ConfigurationError."""
    table = attribute_table(root)
    if table is None:
        return None
    found = [fields for _, fields in lines_of(table.path)]
    found = found[1:] if is_count(found[0]) else found
    return TableSet(root, table, Rows(["", *found[0]], found[1:], _attributes_text))


def find_csv_set(root: Path) -> TableSet | None:
    """The set of the CSV file in `root`; None if there is none. Raises ConfigurationError."""
    table = csv_table(root)
    if table is None:
        return None
    found = [fields for _, fields in rows_of(table.path)]
    delimiter = delimiter_of(table.path.read_bytes().decode("utf-8-sig", "replace"))
    return TableSet(root, table, Rows(found[0], found[1:], lambda header, rows: _csv_text(header, rows, delimiter)))


def _attributes_text(header: Row, rows: Sequence[Row]) -> str:
    lines = [str(len(rows)), " ".join(header[1:]), *(" ".join(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _csv_text(header: Row, rows: Sequence[Row], delimiter: str) -> str:
    written = StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return written.getvalue()
