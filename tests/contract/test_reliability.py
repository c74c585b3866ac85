"""Every promise in RELIABILITY.md names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "RELIABILITY.md").read_text(encoding="utf-8")
DEFINED = re.compile(r"^def (test_\w+)", re.MULTILINE)


def _defined(folder, pattern):
    return {name for path in folder.rglob(pattern) for name in DEFINED.findall(path.read_text(encoding="utf-8"))}


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 40
    assert named <= _defined(TESTS, "test_*.py")


def test_every_promise_names_a_test():
    rows = [row for row in re.findall(r"^\| (.+) \|$", PAGE, re.MULTILINE) if row != "promise | test"]
    assert len(rows) > 25
    assert [row for row in rows if "`test_" not in row] == []
