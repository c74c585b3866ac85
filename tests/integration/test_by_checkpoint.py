"""Several checkpoints in one conversion: a folder each, all side by side, the truth beside them where it is known."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny import write_images
from ways_out import DATA_OF, SAYS_NO_WAY, tried

from translate.runs import by_checkpoint
from translate.runs.convert import Conversion

SAYS_NO_WAY |= {
    ("inference/extras", "--truth {}: no such file or folder"): "names what was given",
    ("inference/extras", "--truth {}: no picture has the name of one of the inputs"): "names what was given",
    ("runs/by_checkpoint", "--checkpoint {}: a name is missing beside a comma"): "names what was given",
}

STEPS = ("step-00000002", "step-00000004")


@pytest.fixture
def pairs(run_cli, trained_once, tmp_path: Path) -> Path:
    """A run on pairs with two checkpoints, and a folder of pairs, A and B."""
    data = next(trained_once("pix2pix").glob(f"{DATA_OF['pix2pix']}*"))
    recipe = next(trained_once("pix2pix").glob("pix2pix*.yaml"))
    settings = ["training.steps=4", "training.checkpoint_every=2", "training.keep_every=2"]
    result = run_cli("train", recipe, "--data", data, "--out", "run", "-q", "--device", "cpu", *settings)
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "run/checkpoints/step-00000004/checkpoint.json").read_text())
    for domain in facts["domains"]:
        write_images(tmp_path / "photos" / domain, ["1.png", "2.png"], size=20)
    return tmp_path / "photos" / facts["domains"][0]


def captions(page: Path) -> list[str]:
    return re.findall(r"<i>(.*?)</i>", page.read_text())


def test_each_has_its_folder_and_one_page_has_a_column_for_each(run_cli, pairs: Path, tmp_path: Path) -> None:
    command = ("convert", "run", pairs, "out", "--checkpoint", "2,latest,4", "--device", "cpu", "-q")
    result = run_cli(*command, "--gallery", "page.html", "--compare", "sheets", "--manifest", "rows.jsonl")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("4 converted")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == list(STEPS)
    one, other = ((tmp_path / "out" / step / "1.png").read_bytes() for step in STEPS)
    assert one != other
    assert captions(tmp_path / "page.html") == ["input", "step 2", "step 4, latest", "truth"] * 2
    assert "2 · 4" in (tmp_path / "page.html").read_text(), "the head says of which steps"
    with Image.open(tmp_path / "sheets" / "sheet-00001.png") as sheet:
        assert json.loads(sheet.info["translate:places"])["columns"] == ["input", "step 2", "step 4, latest", "truth"]
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 4

    said = run_cli("convert", "run", pairs, "anew", "--checkpoint", "2,4", "--device", "cpu").stderr
    assert said.count("converting on") == 1 == said.count("step 2:") == said.count("step 4:")

    (tmp_path / "out" / STEPS[1] / "2.png").unlink()
    again = run_cli(*command)
    assert again.stdout.startswith("1 converted, 3 skipped")
    assert (tmp_path / "out" / STEPS[0] / "1.png").read_bytes() == one


def test_a_bad_file_costs_its_row_only_and_what_lacks_has_an_empty_cell(run_cli, pairs: Path, tmp_path: Path) -> None:
    (pairs / "2.png").write_bytes(b"no picture")
    write_images(pairs, ["3.png"], size=20)
    command = ("convert", "run", pairs, "out", "--checkpoint", "2,4", "--gallery", "page.html", "--device", "cpu", "-q")
    result = run_cli(*command)
    assert result.exit_code == 3 and result.stdout.startswith("4 converted, 0 skipped, 2 failed")
    text = (tmp_path / "page.html").read_text()
    assert re.findall(r"<figcaption>(.*?)</figcaption>", text) == ["1.png", "3.png"]
    assert text.count('<b class="none">none</b>') == 1, "there is no truth of 3.png"


def test_truth_is_where_it_is_said_to_be(run_cli, pairs: Path, tmp_path: Path) -> None:
    shutil.move(pairs, tmp_path / "plain")
    common = ("convert", "run", "plain", "out", "--device", "cpu", "-q")
    write_images(tmp_path / "true", ["1.jpg"], size=20)
    assert run_cli(*common, "--gallery", "page.html", "--truth", "true").exit_code == 0
    assert captions(tmp_path / "page.html") == ["input", "output", "truth"] * 2
    assert run_cli(*common, "--gallery", "none.html").exit_code == 0
    assert captions(tmp_path / "none.html") == ["input", "output"] * 2
    write_images(tmp_path / "others", ["another.png"], size=20)
    result = run_cli(*common, "--gallery", "others.html", "--truth", "others")
    assert result.exit_code == 3 and "no picture has the name of one of the inputs" in result.stderr
    for options, says in ((("--truth", "true"), "add --gallery"), (("--truth", "nowhere"), "no such file")):
        result = run_cli(*common, *options)
        assert result.exit_code == 2 and says in result.stderr


def test_a_damaged_truth_costs_its_place_only(run_cli, pairs: Path, tmp_path: Path) -> None:
    (pairs.parent / "true").mkdir()
    (pairs.parent / "true/1.png").write_bytes(b"no picture")
    write_images(pairs.parent / "true", ["2.png"], size=20)
    command = ("convert", "run", pairs, "out", "--checkpoint", "2,4", "--truth", pairs.parent / "true")
    result = run_cli(*command, "--gallery", "page.html", "--compare", "sheets", "--device", "cpu", "-q")
    assert result.exit_code == 3 and result.stderr.count("true/1.png: not an image") == 1
    text = (tmp_path / "page.html").read_text()
    assert re.findall(r"<figcaption>(.*?)</figcaption>", text) == ["1.png", "2.png"]
    assert text.count('<b class="none">none</b>') == 1
    with Image.open(tmp_path / "sheets" / "sheet-00001.png") as sheet:
        assert len(json.loads(sheet.info["translate:places"])["rows"]) == 2


def test_what_holds_of_all_checkpoints_is_said_once(run_cli, pairs: Path) -> None:
    (pairs / "notes.txt").touch()
    result = run_cli("convert", "run", pairs, "out", "--checkpoint", "2,4", "--device", "cpu")
    lines = [line for line in result.stderr.splitlines() if not line.startswith("converting: ")]
    assert len(lines) == len(set(lines)) and "note: 1 file of another kind left alone: .txt 1" in lines
    assert [line for line in lines if line.startswith("step ")] == [f"step {n}: out/{STEPS[n // 4]}/" for n in (2, 4)]


@pytest.mark.parametrize("which", [0, 1])
def test_a_checkpoint_that_a_training_removes_meanwhile_is_told(
    run_cli, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    whole = by_checkpoint._each

    def and_then_pruned(*arguments: Any) -> Iterator[Conversion]:
        yield from list(whole(*arguments))
        shutil.rmtree(tmp_path / "run/checkpoints" / STEPS[which])

    monkeypatch.setattr(by_checkpoint, "_each", and_then_pruned)
    result = run_cli("convert", "run", pairs, "out", "--checkpoint", "2,4", "--gallery", "page.html", "-q")
    assert result.exit_code == 3 and result.stdout.startswith("2 converted, 0 skipped, 0 failed")
    assert f"missing: step {(2, 4)[which]}: run/checkpoints: no checkpoint '{(2, 4)[which]}'" in result.stderr
    assert captions(tmp_path / "page.html") == ["input", f"step {(4, 2)[which]}", "truth"] * 2


def test_an_output_folder_of_others_costs_its_own_column(run_cli, pairs: Path, tmp_path: Path) -> None:
    common = ("--device", "cpu", "-q", "--gallery", "page.html")
    assert run_cli("convert", "run", pairs, f"out/{STEPS[1]}", "--checkpoint", "2", *common).exit_code == 0
    kept = (tmp_path / "out" / STEPS[1] / "1.png").read_bytes()
    result = run_cli("convert", "run", pairs, "out", "--checkpoint", "2,4", *common)
    assert result.exit_code == 3 and f"missing: step 4: out/{STEPS[1]}: holds translations by run" in result.stderr
    assert captions(tmp_path / "page.html") == ["input", "step 2", "truth"] * 2
    assert (tmp_path / "out" / STEPS[1] / "1.png").read_bytes() == kept
    result = run_cli("convert", "run", pairs, "out", "--checkpoint", "4,2", *common)
    assert result.exit_code == 2, "where the first cannot be, nothing is begun"


def test_a_folder_of_several_checkpoints_is_not_mixed_with_one(run_cli, pairs: Path) -> None:
    common = ("convert", "run", pairs, "out", "--device", "cpu", "-q", "--checkpoint")
    assert run_cli(*common, "2,4").exit_code == 0
    assert run_cli(*common, "2").stdout.startswith("2 converted")
    refused = run_cli(*common, "4")
    assert refused.exit_code == 2 and "holds translations by run/step-00000002" in refused.stderr
    assert run_cli(*common, "4", "--overwrite").exit_code == 0
    assert run_cli(*common, "4").stdout.startswith("0 converted, 2 skipped")


@pytest.mark.parametrize(
    ("output", "checkpoint", "says"),
    [("out", "2,3", "no checkpoint '3'"), ("out", "2,", "a name is missing"), ("out.png", "2,4", "named as a file")],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    run_cli, pairs: Path, tmp_path: Path, output: str, checkpoint: str, says: str
) -> None:
    result = run_cli("convert", "run", pairs, output, "--checkpoint", checkpoint, "--device", "cpu")
    assert result.exit_code == 2 and says in result.stderr
    assert not (tmp_path / output).exists()


@tried(("runs/by_checkpoint", "--checkpoint with several is for images, not for {}; name one"))
def test_a_video_takes_one_checkpoint(run_cli, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    command = ("convert", "run", "clip.mp4", "out.mp4", "--device", "cpu", "-q", "--checkpoint")
    assert "not for a video; name one" in run_cli(*command, "2,4").stderr
    assert "not for a video" not in run_cli(*command, "2").stderr
