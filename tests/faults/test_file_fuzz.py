"""Every format of file of ours, damaged at random, ends in words: in a child, so that a crash would be seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from images_child import Child

PROGRAM = str(Path(__file__).with_name("file_mutants.py"))


def _fuzz(folder: Path, count: int) -> None:
    ended = Child([folder / "mutants", count], folder, program=PROGRAM).end().ended_in_words(0)
    told = json.loads(ended.stdout)
    assert told["wrong"] == {}
    assert told["read"] + told["refused"] == count and min(told["read"], told["refused"]) > 0.03 * count, told
    assert told["grown_mb"] < 1000 and told["seconds"] < 10, told


def test_fuzz_68_mutants_of_our_files_are_read_or_refused_by_name(tmp_path):
    """Four of each kind."""
    _fuzz(tmp_path, 68)


@pytest.mark.slow
def test_fuzz_2000_mutants_of_our_files_are_read_or_refused_by_name(tmp_path):
    """`python tests/faults/file_mutants.py FOLDER 2000` prints what became of them."""
    _fuzz(tmp_path, 2000)
