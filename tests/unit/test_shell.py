"""What the shell hands to the commands, and what it sees of them."""

import os
import subprocess
import sys

import click
import pytest

from translate.cli.common import FOLDER, OUTPUT, Commands
from translate.errors import ConfigurationError
from translate.utils.signals import Interrupted


@pytest.mark.parametrize("kind", [OUTPUT, FOLDER])
def test_an_output_in_nobodys_home_is_refused(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="no home folder is known for '~nobody-of-this-name'"):
        kind.convert("~nobody-of-this-name/out", None, None)
    assert not list(tmp_path.iterdir())


def test_a_home_stands_for_its_folder_and_a_slash_for_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert OUTPUT.convert("~/a.png/", None, None) == f"{tmp_path}/a.png/"
    assert FOLDER.convert("~/a.png/", None, None) == tmp_path / "a.png"


def test_ctrl_c_is_no_error(capsys):
    group = Commands("translate")

    @group.command()
    def stopped():
        raise Interrupted(2, "after step 3; saved, continue with --resume")

    with pytest.raises(SystemExit) as ended:
        group.main(["stopped"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped (Ctrl-C) after step 3; saved, continue with --resume\n"


def test_help_says_whole_sentences():
    group = Commands("translate", commands=[click.Command("long", help=f"{'Many words ' * 30}to the end.\n\nNo more.")])
    text = " ".join(group.get_help(click.Context(group, terminal_width=80)).split())
    assert "Many words to the end" in text and "No more" not in text


def test_a_folder_called_like_a_module_breaks_nothing(tmp_path):
    """Python would look for modules in the working folder first."""
    for name in ("torch", "click"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    ended = subprocess.run(
        [sys.executable, "-m", "translate", "--help"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0 and "Commands:" in ended.stdout, ended.stderr
