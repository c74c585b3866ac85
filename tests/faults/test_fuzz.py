"""Fault 28: damaged files by the hundred, in child processes, so that a crash in a decoder would be seen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fixtures_input import trained_tiny  # noqa: F401
from images_child import Child, translate
from mutants import FORMATS, sample

CHILD = str(Path(__file__).with_name("images_child.py"))


def _fuzz(format: str, count: int, folder: Path) -> None:
    ended = Child(["fuzz", format, count], folder, program=CHILD).end().ended_in_words(0)
    assert ended.stderr == "", "what is wrong is raised, not written by a library"
    told = json.loads(ended.stdout)
    assert told["decoded"] + told["refused"] >= count
    assert told["decoded"] > 0.02 * count and told["refused"] > 0.2 * count, told
    assert told["grown_mb"] < 1000, told


@pytest.mark.parametrize("format", FORMATS)
def test_fuzz_500_mutants_of_each_format_are_decoded_or_refused_by_name(format, tmp_path):
    _fuzz(format, 500, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_fuzz_20000_mutants_of_each_format_are_decoded_or_refused_by_name(format, tmp_path):
    _fuzz(format, 20_000, tmp_path)


def test_fuzz_500_sampled_mutants_go_through_the_command_without_a_traceback(trained_tiny, tmp_path):  # noqa: F811
    (tmp_path / "in").mkdir()
    for format in FORMATS:
        for number, data in enumerate(sample(format, 20)[-5:]):
            (tmp_path / "in" / f"{number}.{format.lower()}").write_bytes(data)
    ended = translate("convert", trained_tiny, "in", "out", "--to", "zebra", "--device", "cpu", cwd=tmp_path)
    assert ended.code in (0, 3), ended
    ended.ended_in_words(ended.code)
    converted, skipped, failed = (int(part.split()[0]) for part in ended.stdout.split(", "))
    assert (converted + failed, skipped) == (20, 0)
    assert len(list((tmp_path / "out").glob("[!.]*"))) == converted
    folded = re.findall(r"^failed: [^/]*: (\d+): ", ended.stderr, re.MULTILINE)  # where many have the same fault
    assert ended.stderr.count("failed: in/") + sum(map(int, folded)) == failed
