"""One gate for everything that is printed."""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from translate.utils.printing import Unread, answer, coloured, guarded, guarded_streams, logger, safe, say, then
from translate.utils.progress import Progress

PACKAGE = Path(__file__).resolve().parents[2] / "translate"
HOSTILE = "own\x1b]0;title\x07 clear\x1b[2J over\rwrite\x08 eight\x9b31m bidi\u202etxt\u2066 line\u2028 byte\udcff"
SHOWN = (
    "own\\x1b]0;title\\x07 clear\\x1b[2J over\\rwrite\\x08 eight\\x9b31m bidi\\u202etxt\\u2066 line\\u2028 byte\\udcff"
)


def test_what_could_command_a_terminal_is_escaped_and_nothing_else() -> None:
    assert safe(HOSTILE) == SHOWN and safe(SHOWN) == SHOWN
    plain = "a\tb\nc é ü 馬 🐎 𝔘 ─━ עברית \N{NO-BREAK SPACE}"
    assert safe(plain) == plain


def test_lines_and_results_go_through_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    answer(HOSTILE)
    logger(quiet=True)(HOSTILE)
    assert capsys.readouterr() == (f"{SHOWN}\n", f"{SHOWN}\n")


def test_within_a_command_what_others_print_goes_through_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    with guarded_streams():
        print(HOSTILE)
        sys.stderr.writelines([HOSTILE, "\n"])
    assert capsys.readouterr() == (f"{SHOWN}\n", f"{SHOWN}\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_beside_a_bar_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", guarded(terminal))
    with Progress(2, unit="step", label=HOSTILE) as progress:
        say(HOSTILE)
        print(HOSTILE, file=sys.stderr)
        progress.advance(measured=[HOSTILE])
    shown = terminal.getvalue()
    assert "\x1b[" in shown, "the bar's own"
    assert shown.count("own\\x1b]0;title") == 2
    for raw in ("\x1b]", "\x1b[2J", "\x07", "\x08", "\x9b", "\u202e", "\u2066", "over\rwrite"):
        assert raw not in shown


class Broken(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [OSError(28, "full"), BrokenPipeError(32, "unread"), OSError(5, "gone")])
def test_a_line_that_cannot_be_written_ends_nothing_and_a_result_does(monkeypatch, error) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, Broken(error))
    say("a line")
    with Progress(1, unit="step", label="training", stream=Broken(error)) as progress:
        progress.advance()
    with pytest.raises(Unread if isinstance(error, BrokenPipeError) else OSError):
        answer("a result")


def test_without_streams_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    say("a line")
    answer("a result")
    with Progress(1, unit="step", label="training") as progress:
        progress.advance()


def test_a_stream_for_ascii_gets_ascii() -> None:
    file = io.BytesIO()
    stream = io.TextIOWrapper(file, encoding="ascii")
    guarded(stream).write("é\x1b")
    coloured(guarded(stream)).write("馬\x1b")
    stream.flush()
    assert file.getvalue() == b"\\xe9\\x1b\\u99ac\x1b"


# Names and attributes by which a module could print past the gate.
PRINTS = {"print", "pprint", "echo", "secho", "print_exc", "print_exception", "print_stack", "warn", "basicConfig"}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
READS_ONLY = {"isatty", "flush"}
ALLOWED = {
    "utils/printing.py": "the gate",
    "utils/progress.py": "rich's bar, behind the gate; test_beside_a_bar_as_well",
    "runs/on_ray/cluster.py": "what Ray prints of lost processes goes where messages go",
    "utils/deprecated.py": "Python's own warning, for those who call functions",
}


def _prints(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    looked_at = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in READS_ONLY
    }
    for node in ast.walk(tree):
        name = getattr(node, "id", None) or getattr(node, "attr", "")
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            if called in PRINTS:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno} {called}"
        stream = isinstance(node, ast.Name | ast.Attribute) and name in STREAMS and id(node) not in looked_at
        if stream or (isinstance(node, ast.Attribute) and node.attr == "Console"):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno} {name}"


def test_no_module_prints_past_the_gate() -> None:
    found = {path.relative_to(PACKAGE).as_posix(): list(_prints(path)) for path in PACKAGE.rglob("*.py")}
    assert [line for name, lines in found.items() if name not in ALLOWED for line in lines] == []
    assert {name for name in ALLOWED if not found[name]} == set(), "no longer needed"


@pytest.mark.parametrize("mark", ["warning:", "error:"])
def test_a_warning_stands_out_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch, mark: str) -> None:
    def said(stream: io.StringIO) -> str:
        monkeypatch.setattr(sys, "stderr", guarded(stream))
        say(f"{mark} {HOSTILE}")
        say(f"not a {mark}")
        return stream.getvalue()

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = said(Terminal())
    assert re.fullmatch(rf"\x1b\[1;3[13]m{mark}\x1b\[0m {re.escape(SHOWN)}\nnot a {mark}\n", shown)
    plain = f"{mark} {SHOWN}\nnot a {mark}\n"
    assert said(io.StringIO()) == plain
    for name, value in {"NO_COLOR": "1", "TERM": "dumb"}.items():
        with monkeypatch.context() as asked:
            asked.setenv(name, value)
            assert said(Terminal()) == plain


def test_beside_a_bar_a_warning_stands_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", guarded(terminal))
    with Progress(2, unit="step", label="training"):
        say(f"warning: {HOSTILE}")
    assert re.search(r"\x1b\[1;33mwarning:\x1b\[0m own\\x1b\]0;title", terminal.getvalue())
    assert "\x1b]" not in terminal.getvalue() and "\x07" not in terminal.getvalue()


def test_what_comes_next_is_said_alike_and_not_if_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    then("look at a", f"convert with {HOSTILE}")
    then("look at b", quiet=True)
    assert capsys.readouterr() == ("", f"next: look at a\nnext: convert with {SHOWN}\n")
