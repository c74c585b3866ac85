"""What version 0.1.0 made keeps working: its runs, exports, conversions, classifiers and recipes.

`runs_of_0_1/make.py` made them, and wrote down what that version went on to do with them. What is typed here is what
was typed then. If one of these tests fails, mend the program, not the files.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from runs_of_0_1 import make as then

import translate
from translate.evaluation.metrics import MEASURES
from translate.reporting.keys import caption, current_key
from translate.reporting.tracking import places_in, read_metrics
from translate.runs.comparing.rows import Row
from translate.runs.resuming import FOUND

KEPT = Path(__file__).parent / "runs_of_0_1"
EXPECTED = KEPT / "expected"
# Other processors and other versions of torch add in another order: last bits differ, and each step enlarges that.
ROUNDING = {"rel": 1e-4, "abs": 1e-6}
LEVELS = {np.dtype("uint8"): 1, np.dtype("uint16"): 8}
SINCE = ", as converted"
"""Ends the names of scores that there were none of then."""
RECIPES = {values["name"]: values for values in yaml.safe_load_all((EXPECTED / "recipes.yaml").read_text())}


@pytest.fixture
def typed(run_cli, tmp_path):
    """Types a command in a folder with the images of then; returns all that it says."""
    then.make_data(tmp_path)

    def type_(*words: object) -> str:
        result = run_cli(*words)
        assert result.exit_code == 0, f"{words}: {result.output}{result.exception!r}"
        return result.output

    return type_


@pytest.fixture
def kept(tmp_path):
    """Copies files and folders of then here."""

    def copy(*names: str) -> None:
        for name in names:
            if (KEPT / name).is_dir():
                shutil.copytree(KEPT / name, tmp_path / name)
            else:
                shutil.copy(KEPT / name, tmp_path / name)

    return copy


@pytest.fixture
def classifiers(tmp_path):
    """Those kept then, with their weights, for as long as a test takes: each has 45 MB."""
    folder = tmp_path / "home" / "classifiers"

    def fill(data: str) -> None:
        for kept in KEPT.glob(f"classifiers/{data}-*"):
            shutil.copytree(kept, folder / kept.name)
        then.fill_classifiers(folder)

    yield fill
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("name", then.RUNS)
def test_a_run_goes_on_as_it_did_then(name, typed, kept, tmp_path):
    kept(f"runs/{name}")
    run = tmp_path / "runs" / name
    before = (run / "metrics.jsonl").read_bytes()
    said = typed(*then.resume(name))
    assert f"resuming after step {then.STEPS}" in said and "warning" not in said
    assert (run / "metrics.jsonl").read_bytes().startswith(before)
    logged = then.logged(run)
    _require_equal(logged, _of_today(_rows(EXPECTED / f"{name}.jsonl")))
    assert not [key for row in logged for key in row if not re.fullmatch(r"[a-z_/]+(100_draws|to_[A-Za-z]+/\w+)?", key)]
    _require_curves_that_go_on(run)
    embedded = {_picture(one) for one in _embedded(run / "report.html")}
    grids = list(run.glob("samples/*.png"))
    assert grids and all(_picture(part) in embedded for grid in grids for part in _parts_of(grid))


def _embedded(report: Path) -> list[Image.Image]:
    found = re.findall("data:image/png;base64,([A-Za-z0-9+/=]+)", report.read_text())
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def _parts_of(grid: Path) -> list[Image.Image]:
    """The pictures of a grid of today; one of then, which does not say where they are, is a picture itself."""
    whole, places = Image.open(grid), places_in(grid)
    boxes = [box for row in places.boxes for box in row] if places else [[0, 0, *whole.size]]
    return [whole.crop((x, y, x + width, y + height)) for x, y, width, height in boxes]


def _picture(picture: Image.Image) -> tuple[tuple[int, int], bytes]:
    return picture.size, picture.convert("RGB").tobytes()


def _require_curves_that_go_on(run: Path) -> None:
    """What was logged then and now under two names is one curve of the report, and one row of a comparison."""
    rows, report = read_metrics(run / "metrics.jsonl"), (run / "report.html").read_text()
    dots: Counter[str] = Counter()
    for row in rows:
        dots.update(caption(key.partition("/")[2]) for key in row if key not in ("step", "time"))
    for words, count in dots.items():
        lines = re.findall(rf"<title>{re.escape(words)}</title>.*?</g>", report, re.DOTALL)
        assert sum(line.count("<circle") for line in lines) == count, words
    trained = {key for row in rows if row["step"] > then.STEPS for key in row}
    assert trained == {key for row in rows if row["step"] <= then.STEPS for key in row}
    comparison = translate.compare([KEPT / "runs" / run.name, run])
    assert all(None not in row.values for row in comparison.validation)
    assert len(comparison.validation) == sum(key.startswith("validation/") for key in trained)


def test_a_run_goes_on_where_its_images_are_now(typed, kept, tmp_path):
    kept("runs/pix2pix")
    (tmp_path / "data").rename(tmp_path / "moved")
    assert "warning" not in typed(*then.resume("pix2pix", "--data", "moved/paired"))
    _require_equal(then.logged(tmp_path / "runs/pix2pix"), _of_today(_rows(EXPECTED / "pix2pix.jsonl")))


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(typed, kept, tmp_path):
    kept("runs/cyclegan")
    (tmp_path / "runs/cyclegan/checkpoints/step-00000004/model.safetensors").write_bytes(b"damaged")
    assert f"resuming after step {then.STEPS // 2}" in typed(*then.resume("cyclegan"))


def test_a_new_run_begins_with_the_weights_of_a_run_of_then(typed, kept):
    kept("runs/cyclegan")
    more = ("training.init_from=runs/cyclegan", "training.steps=1")
    assert "runs/cyclegan: its weights after step 4" in typed(
        "train", "runs/cyclegan/recipe.yaml", "--out", "anew", "--wandb", "disabled", *then.ON_CPU, *more
    )


@pytest.mark.parametrize("name", then.CONVERTING)
def test_a_run_converts_as_it_did_then(name, typed, kept):
    kept(f"runs/{name}")
    typed(*then.convert(f"runs/{name}", name, "out", *then.towards(name)))
    _require_same_images(Path("out"), EXPECTED / name)


def test_an_earlier_step_and_the_best_convert_as_they_did_then(typed, kept):
    kept("runs/cyclegan")
    step = ("--to", "sketch", "--checkpoint")
    typed(*then.convert("runs/cyclegan", "cyclegan", "out", *step, 2))
    _require_same_images(Path("out"), EXPECTED / "cyclegan-step-2")
    typed(*then.convert("runs/cyclegan", "cyclegan", "best", *step, "best"))
    _require_same_images(Path("best"), EXPECTED / "cyclegan")


@pytest.mark.parametrize("name", ["cyclegan", "direct", "stargan"])
def test_a_run_is_loaded_in_python(name, kept, tmp_path):
    kept(f"runs/{name}")
    then.make_data(tmp_path)
    converter = translate.load(tmp_path / "runs" / name, device="cpu", precision="float32")
    (target,) = then.RUNS[name].to
    for wanted in EXPECTED.glob(f"{name}/*.png"):
        image = _pixels(tmp_path / then.RUNS[name].photos / wanted.name)
        found = converter.convert(image, to=target)
        _require_near(found.reshape(image.shape), _pixels(wanted))


@pytest.mark.parametrize("name", then.DRAWING)
def test_a_run_draws_as_it_did_then(name, typed, kept):
    kept(f"runs/{name}")
    typed(*then.sample(name, "out"))
    _require_same_images(Path("out"), EXPECTED / name)


@pytest.mark.parametrize("name", then.EVALUATED)
def test_a_run_has_the_scores_of_then(name, typed, kept, classifiers, tmp_path):
    """And they stand in one row with those of then. The classifier of then judges."""
    kept(f"runs/{name}")
    classifiers(then.RUNS[name].images)
    shutil.copytree(tmp_path / "runs" / name, tmp_path / "runs" / "again")
    said = typed("evaluate", "runs/again", *then.ON_CPU)
    assert "training a classifier" not in said
    again, of_then = (_numbers(tmp_path / "runs" / run / "evaluation-latest.json") for run in ("again", name))
    _require_equal([score for score in again if not score["name"].endswith(SINCE)], of_then)
    rows = translate.compare([tmp_path / "runs" / run for run in (name, "again")]).evaluation
    _require_known([row for row in rows if not row.name.endswith(SINCE)])
    keys = {score["key"] for score in json.loads((tmp_path / "runs/again/evaluation-latest.json").read_text())}
    assert keys and all(re.fullmatch(r"[a-z_/0-9]+", key) for key in keys)
    side_by_side = typed("compare", f"runs/{name}", "runs/again")
    assert "measured in different ways" not in side_by_side and "measured on different images" not in side_by_side


@pytest.mark.parametrize("suffix", [".onnx", "-hub"])
@pytest.mark.parametrize("name", then.EXPORTED)
def test_an_export_of_then_and_one_of_now_convert_as_the_run_did(name, suffix, typed, kept):
    kept(f"runs/{name}", "exported")
    to = then.towards(name)
    typed("export", f"runs/{name}", f"now{suffix}", *(to if suffix == ".onnx" else []))
    for model in (f"exported/{name}{suffix}", f"now{suffix}"):
        out = f"out-{Path(model).stem}"
        typed(*then.convert(model, name, out, *(to if suffix == "-hub" else [])))
        _require_same_images(Path(out), EXPECTED / name)


def test_a_conversion_of_then_goes_on(typed, kept, run_cli, tmp_path):
    kept("runs/cyclegan", "converted")
    mark, later = tmp_path / "converted/cyclegan/.translate.json", tmp_path / "converted/cyclegan/later.png"
    rows, before = _rows(tmp_path / "converted/cyclegan.jsonl"), {path: path.stat() for path in later.parent.iterdir()}
    then.more_photos(tmp_path)
    typed(*then.CONVERTED_BEFORE)
    assert {path: path.stat().st_mtime_ns for path in before} == {
        path: stat.st_mtime_ns for path, stat in before.items()
    }
    assert later.is_file() and mark in before
    after = _rows(tmp_path / "converted/cyclegan.jsonl")
    assert after[: len(rows)] == rows
    assert {(row["output"], row["status"]) for row in after[len(rows) :]} == {
        ("converted/cyclegan/0.png", "skipped"),
        ("converted/cyclegan/1.png", "skipped"),
        ("converted/cyclegan/later.png", "written"),
    }
    other = run_cli(*then.convert("runs/cyclegan", "cyclegan", "converted/cyclegan", "--to", "photo"))
    assert other.exit_code == 2 and "holds translations by cyclegan/step-00000004" in other.output


def test_runs_of_then_are_compared_as_then(typed, kept):
    kept(*(f"runs/{name}" for name in then.COMPARED))
    typed(*then.compare("compare.json"))
    found = json.loads(Path("compare.json").read_text())
    rows = found["validation"] + found["evaluation"]
    assert {row.pop("key").partition("/")[0] for row in rows} <= MEASURES.keys()
    assert {row["protocol"].pop("data.order", "null") for row in rows} == {"null"}
    since = ("best", "ended", "rescheduled")
    assert [tuple(map(state.pop, since)) for state in found["states"].values()] == [("4", True, "")] * 3
    assert found == json.loads((EXPECTED / "compare.json").read_text())


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_of_then_says_what_it_said(name, tmp_path):
    """In full, as `translate recipes NAME` printed it, and by its name, as runs that go on need it."""
    path = tmp_path / "full.yaml"
    path.write_text(yaml.safe_dump(RECIPES[name]))
    for recipe in (translate.load_recipe(path), translate.load_recipe(name)):
        _require_within(RECIPES[name], recipe.to_json())


@pytest.mark.parametrize("name", then.RUNS)
def test_a_recipe_on_top_of_another_is_filled_up_as_then(name, tmp_path):
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(then.RUNS[name].recipe))))
    resolved = yaml.safe_load((KEPT / "runs" / name / "recipe.yaml").read_text())
    data = f"data.set={resolved['data']['set']}"
    _require_within(resolved, translate.load_recipe(path, [data]).to_json())


def test_every_key_and_choice_of_a_recipe_of_then_is_there():
    # Kinds of discriminators have had classes of their own since.
    known = {re.sub(r"\.discriminator\[(patch|strided)\]", ".discriminator", key) for key in then.recipe_keys()}
    assert [key for key in (EXPECTED / "recipe_keys.txt").read_text().splitlines() if key not in known] == []


def _rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _numbers(path: Path) -> list[dict]:
    """Scores without words that say how they were measured, and without the key, which there was none of then."""
    words = ("protocol", "warning", "note", "key")
    return [{key: value for key, value in score.items() if key not in words} for score in json.loads(path.read_text())]


def _of_today(rows: list[dict]) -> list[dict]:
    return [{current_key(key): value for key, value in row.items()} for row in rows]


def _require_known(rows: Sequence[Row]) -> None:
    """Each is of a measure of today, and has the scores of both runs."""
    assert rows and all(row.key.partition("/")[0] in MEASURES for row in rows)
    assert all(None not in row.values for row in rows)


def _require_equal(found: object, wanted: object, where: str = "") -> None:
    """The same keys, words and whole numbers; other numbers up to rounding."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        assert found.keys() == wanted.keys(), where
        for key in wanted:
            _require_equal(found[key], wanted[key], f"{where}/{key}")
    elif isinstance(wanted, list) and isinstance(found, list):
        assert len(found) == len(wanted), where
        for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
            _require_equal(one, other, f"{where}/{number}")
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, nan_ok=True, **ROUNDING), where
    else:
        assert found == wanted, where


def _require_within(wanted: object, found: object, where: str = "") -> None:
    """All that is wanted is there, with these values; keys that came later may be, too. What is found by looking now
    was said in every recipe then."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        assert not wanted.keys() - found.keys(), where
        for key in wanted:
            if f"{where}.{key}" in FOUND and found[key] is None and wanted[key] in (3, [0.0, 1.0]):
                continue
            _require_within(wanted[key], found[key], f"{where}.{key}".removeprefix("."))
    else:
        assert found == wanted, where


def _require_same_images(found: Path, wanted: Path) -> None:
    names = sorted(path.relative_to(wanted) for path in wanted.rglob("*.png"))
    assert names and names == sorted(path.relative_to(found) for path in found.rglob("*.png"))
    for name in names:
        _require_near(_pixels(found / name), _pixels(wanted / name))


def _require_near(found: np.ndarray, wanted: np.ndarray) -> None:
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert np.abs(found.astype(int) - wanted.astype(int)).max() <= LEVELS[wanted.dtype]


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(np.uint16 if image.mode.startswith("I") else np.uint8)
