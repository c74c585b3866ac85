"""The examples run as they are: the bare loops for twenty steps, the notebook cell by cell."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LOOPS = ("cyclegan", "pix2pix", "wgan_gp")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "cyclegan" else pytest.mark.slow) for name in LOOPS]
)
def test_a_bare_loop_runs_and_draws_what_it_has_learnt(name, monkeypatch, tmp_path, capsys):
    script, out = EXAMPLES / f"{name}.py", tmp_path / "out"
    arguments = ["--steps", "8", "--size", "32", "--data", "shapes", "--out", out, "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [str(script), *map(str, arguments)])
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.strip(), "it says how it goes"
    with Image.open(out / "samples.png") as grid:
        assert len(grid.convert("RGB").getcolors(1 << 24)) > 1000


@pytest.mark.parametrize("name", LOOPS)
def test_a_bare_loop_says_that_its_data_is_missing(name, monkeypatch, tmp_path, capsys):
    script = EXAMPLES / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 2 and f"--data {tmp_path / 'nowhere'}: no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", LOOPS)
def test_a_bare_loop_is_a_page(name):
    assert 60 <= len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 100


def test_the_notebook_runs_from_top_to_bottom(monkeypatch, tmp_path):
    cells = _code(EXAMPLES / "quickstart.ipynb")
    assert cells[0].splitlines() == ["STEPS = 1900", "SIZE = 64", "SCENES = 400"]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in ["STEPS, SIZE, SCENES = 8, 32, 8", *cells[1:]]:
        exec(compile(cell, "quickstart.ipynb", "exec"), names)
    assert names["errors"].keys() == {"untouched input", "translation"}
    assert all(0 < error < 0.5 for error in names["errors"].values())
    work = tmp_path / "quickstart-notebook"
    assert {path.name for path in (work / "converted").iterdir()} == {path.name for path in work.glob("*/testA/*.png")}
    assert Image.open(work / "comparison.png").size[0] > 3 * 32


def test_the_notebook_is_kept_without_its_outputs():
    notebook = json.loads((EXAMPLES / "quickstart.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert not [cell for cell in notebook["cells"] if cell.get("outputs") or cell.get("execution_count")]


def _code(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
