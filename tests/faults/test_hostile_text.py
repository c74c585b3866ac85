"""Texts from outside that would command the terminal, through every command: nothing that comes out does."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from PIL import Image
from tiny import TINY, TINY_DATA, TINY_TRAINING, write_images

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these names are for POSIX file systems")

# A new title, a cleared screen, a line written over, colours in 8-bit codes, text turned around.
BAD = "\x1b]0;t\x07\x1b[2J\r\x9b31m\u202e"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture
def quiet_terminal(run_cli) -> Callable[..., Result]:
    """Runs a command, and looks at what it sent to the terminal; `code` is what it ends with, `names` that it told of
    something with such a name."""

    def run(*words: object, code: int, names: bool = True) -> Result:
        result = run_cli(*words)
        assert result.exit_code == code, result.output
        text = result.stdout_bytes.decode() + result.stderr_bytes.decode()
        assert RAW.findall(text) == [], text
        assert "Traceback" not in text
        assert not names or "\\x1b]0;t" in text or "\\x1b[2J" in text, text
        return result

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., str]:
    def write(model: str, file: str = "recipe", **settings: Any) -> str:
        path = tmp_path / f"{file}.yaml"
        values = {"model": TINY[model], "data": TINY_DATA, "training": TINY_TRAINING, **settings}
        path.write_text(json.dumps(values))
        return path.name

    return write


def classes(folder: Path) -> Path:
    """Three classes, whose names are hostile, as are those of images, a note beside them and the folder."""
    root = folder / f"set{BAD}"
    for split, count in (("train", 3), ("test", 2)):
        for name in "abc":
            write_images(root / split / f"{name}{BAD}", [f"{i}{BAD}.png" for i in range(count)])
    return root


def test_training_and_what_is_made_of_a_run(quiet_terminal, recipe, tmp_path: Path) -> None:
    data, run = classes(tmp_path), f"run{BAD}"
    train = ("train", recipe("stargan"), "--data", data, "--device", "cpu")
    quiet_terminal("data", "check", data, code=3)  # they are the same images
    quiet_terminal(*train, "--out", run, code=0)
    quiet_terminal(*train, "--out", run, "--resume", code=0)
    quiet_terminal(*train, "--out", run, "--resume", "training.lr=1", code=2)
    shown = quiet_terminal("convert", run, data / "test" / f"a{BAD}", "out", code=2)  # it tells the domains
    assert "a\\x1b" in shown.output
    quiet_terminal("convert", run, data / "test" / f"a{BAD}", f"out{BAD}", "--to", f"b{BAD}", code=0, names=False)
    quiet_terminal("convert", run, data / "test" / f"a{BAD}", f"out{BAD}", "--to", f"c{BAD}", code=2)
    quiet_terminal("export", run, f"hub{BAD}", code=0)
    with (tmp_path / run / "metrics.jsonl").open("a") as metrics:
        metrics.write(json.dumps({"step": 4, "time": 1.0, f"validation {BAD}/l1": 0.5}) + "\n")
    shutil.copytree(tmp_path / run, tmp_path / f"{run}2")
    quiet_terminal("compare", run, f"{run}2", code=0)
    kept = json.loads((tmp_path / run / "checkpoints" / "step-00000004" / "checkpoint.json").read_text())
    assert kept["domains"] == [f"{name}{BAD}" for name in "abc"], "files keep names as they are"


def test_names_that_are_wrong(quiet_terminal, recipe, tmp_path: Path) -> None:
    write_images(tmp_path / "photos", ["one.png"])
    for words in (
        ("train", BAD),
        ("train", "cyclegan", f"{BAD}=1"),
        ("train", "cyclegan", f"data.size={BAD}"),
        ("train", "cyclegan", BAD),
        ("train", "cyclegan", "--data", BAD),
        ("train", "cyclegan", "--device", BAD),
        ("train", "cyclegan", "--engine", BAD),
        ("train", "cyclegan", f"--{BAD}"),
        ("recipes", BAD),
        ("quickstart", BAD),
        ("convert", BAD, "photos", "out"),
        ("convert", "photos", BAD, "out"),
        ("convert", BAD, BAD, BAD, BAD),
        ("sample", BAD, "out"),
        ("evaluate", BAD),
        ("export", BAD, "out"),
        ("compare", BAD, "photos"),
        ("data", "fetch", BAD),
        ("data", "check", BAD),
        (BAD,),
    ):
        quiet_terminal(*words, code=2)


def test_files_that_hold_such_texts(quiet_terminal, recipe, tmp_path: Path, monkeypatch) -> None:
    quiet_terminal("recipes", recipe("cyclegan", summary=BAD, name=BAD), code=0, names=False)  # as YAML has them
    quiet_terminal("recipes", recipe("cyclegan", **{BAD: 1}), code=2)
    write_images(tmp_path / "csv" / "images", ["a.png", "b.png"])
    (tmp_path / "csv" / "labels.csv").write_text(f'file,"{BAD}"\nimages/a.png,"{BAD}"\nimages/b.png,"{BAD}2"\n')
    quiet_terminal("data", "check", "csv", code=2)
    (tmp_path / "csv" / "dataset.yaml").write_text(yaml.safe_dump({BAD: 1, "name": BAD}))
    quiet_terminal("data", "check", "csv", code=2)
    shutil.copytree(Path(__file__).resolve().parents[2] / "datasets", tmp_path / "cards")
    card = yaml.safe_load((tmp_path / "cards" / "celeba.yaml").read_text()) | {"name": "mine", "by_hand": BAD}
    (tmp_path / "cards" / "mine.yaml").write_text(yaml.safe_dump(card))
    monkeypatch.setattr("translate.data.catalog.cards.shipped", lambda kind: tmp_path / "cards")
    quiet_terminal("data", "fetch", "mine", code=2)


def test_answers_of_servers(quiet_terminal, tmp_path: Path, monkeypatch) -> None:
    import http.server
    import threading

    from translate.data.catalog.cards import cards

    class Hostile(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(f"HTTP/1.1 404 no{BAD.replace(chr(13), '')}\n\n".encode("latin-1", "replace"))

        def log_message(self, *words: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        known = cards()
        name, card = next((name, card) for name, card in known.items() if card.url)
        there = card.model_copy(update={"url": f"http://127.0.0.1:{server.server_port}/a.zip", "mirrors": ()})
        monkeypatch.setattr("translate.data.catalog.cards.cards", lambda: {name: there})
        monkeypatch.setattr("translate.data.catalog.fetch.cards", lambda: {name: there}, raising=False)
        quiet_terminal("data", "fetch", name, code=2)
        server.shutdown()


def test_images_whose_names_are_hostile_are_converted_and_refused(quiet_terminal, recipe, tmp_path: Path) -> None:
    write_images(tmp_path / "ab" / "trainA", ["1.png", "2.png"])
    write_images(tmp_path / "ab" / "trainB", ["3.png", "4.png"], seed=1)
    write_images(tmp_path / "ab" / "testA", ["5.png", "6.png"], seed=2)
    write_images(tmp_path / "ab" / "testB", ["7.png", "8.png"], seed=3)
    train = ("train", recipe("cyclegan"), "--data", "ab", "--device", "cpu", "training.steps=2", "--out", "run")
    quiet_terminal(*train, "--domains", f"x{BAD},y{BAD}", code=0)
    quiet_terminal("evaluate", "run", "--device", "cpu", code=0)
    write_images(tmp_path / "photos", [f"one{BAD}.png"])
    (tmp_path / "photos" / f"two{BAD}.png").write_bytes(b"no image")
    quiet_terminal("convert", "run", "photos", "out", "--to", f"y{BAD}", "--compare", "sheets", code=3)
    assert Image.open(tmp_path / "out" / f"one{BAD}.png").size == (24, 24), "files keep names as they are"
