"""Every kind of image file that common libraries write is read as it was written, or refused by name; what is
written in its place has its type, tags and pixels. `file_table` makes the files, and prints the counts of all."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tifffile", reason="the judge of TIFF")
pytest.importorskip("imagecodecs", reason="decodes for the judge")

from file_table import GROUPS, read, written, wrong_with


@pytest.mark.parametrize("group", GROUPS)
def test_every_cell_is_equal_or_refused_by_name_and_written_as_it_was(group: str, tmp_path: Path) -> None:
    wrong, equal = [], 0
    for cell in GROUPS[group]():
        found = read(cell)
        reason = wrong_with(cell, found)
        if not reason and not isinstance(found, str):
            reason, equal = written(cell, found, tmp_path), equal + 1
        if reason:
            wrong.append(f"{cell.name}: {reason}")
    assert not wrong, "\n".join([f"{len(wrong)} cells", *wrong[:20]])
    assert equal >= 2, "a table that refuses all proves nothing"
