"""What is killed just before it changes its folder, wherever that is, is finished as if it had not been."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import warm

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked from one process")


def _told(script: str, folder: Path, *words: str) -> str:
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE.parent), str(HERE)])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TRANSLATE_HOME": str(folder / "home")}
    command = [sys.executable, HERE / script, folder / "killed", *words]
    ended = warm.run(command, env=environment)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return ended.stdout


def _tried(folder: Path, which: str) -> int:
    told = json.loads(_told("write_points.py", folder, which))
    assert told["wrong"] == {}
    return told["tried"]


def _require_all_equal(folder: Path, *words: str) -> None:
    """Asserts that every kill was told, and none as wrong."""
    all_kills = _told("random_kills.py", folder, *words).splitlines()[-1].split()
    assert all_kills == ["all", words[0], words[0], "0"]


def test_kill9_at_each_name_given_after_the_last_step_is_repaired_by_resume(tmp_path):
    """The last checkpoint's, `latest`, `best`, the pruned one's, the summary's, the report's, progress.json's."""
    assert _tried(tmp_path, "renames") == 7


@pytest.mark.slow
@pytest.mark.parametrize("which", ["all", "twice"])
def test_kill9_at_every_operation_on_the_folder_is_repaired_by_resume(tmp_path, which):
    """`python tests/faults/write_points.py FOLDER all|twice` prints what was tried."""
    assert _tried(tmp_path, which) > 60


def test_random_kills_are_repaired_by_doing_it_again(tmp_path):
    """One of each phase; `test_two_hundred_...` draws more."""
    _require_all_equal(tmp_path, "6")


@pytest.mark.slow
def test_two_hundred_random_kills_are_repaired_by_doing_it_again(tmp_path):
    """`python tests/faults/random_kills.py FOLDER 200` prints the table."""
    _require_all_equal(tmp_path, "200")
