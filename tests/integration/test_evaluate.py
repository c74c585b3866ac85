"""`translate evaluate` on tiny runs of each kind: which tables there are, and what must stand in them."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from tiny import digit_sets, labelled_folder, paired_folder, put, unpaired_folder

from translate.errors import ConfigurationError
from translate.evaluation.classifier import ClassifierSettings
from translate.evaluation.spaces import INCEPTION_FILE
from translate.runs.evaluate import evaluate, write_scores
from translate.runs.train import train

RULER = ClassifierSettings(size=16, steps=3, batch_size=4)


def _evaluated(tiny_recipe, tmp_path, model, data, *overrides):
    run = train(tiny_recipe(model), data, out=tmp_path / "run", overrides=overrides, quiet=True, tracking="disabled")
    scores = evaluate(run, classifier=RULER, device="cpu", quiet=True)
    return run, scores, {(score.table, score.name): score for score in scores}


def test_labelled_runs_are_read_by_a_classifier(tiny_recipe, tmp_path):
    run, scores, table = _evaluated(tiny_recipe, tmp_path, "stargan", labelled_folder(tmp_path / "data"))
    for name in ("a", "b", "c", "all"):
        error = table["classification error of translations", name]
        # Six test images, two of each class: four are sent to each class; all are resampled by image.
        assert error.images == (6 if name == "all" else 4)
        assert 0 <= error.low <= error.value <= error.high <= 100
        assert set(error.floor) == {"untranslated input"} and set(error.ceiling) == {"real images"}
        assert "sha256" in error.protocol["classifier"] and error.protocol["split"] == "test"
    distance = table["KID x 1000 in classifier features", "a"]
    assert (distance.images, distance.reals) == (4, 4), "four training images are of each class"
    (missing,) = {score.note for score in scores if score.table == "distances in Inception"}
    assert missing.startswith("unavailable")
    written = json.loads(write_scores(scores, run).read_text())
    assert len(written) == len(scores) and (run / "evaluation-latest.json").is_file()


def test_the_classifier_is_kept_and_used_again(tiny_recipe, tmp_path):
    run, _, first = _evaluated(tiny_recipe, tmp_path, "stargan", labelled_folder(tmp_path / "data"))
    told = []
    again = evaluate(run, classifier=RULER, device="cpu", log=told.append, quiet=True)
    assert not any("training a classifier" in line for line in told)
    key = ("classification error of translations", "all")
    assert {(s.table, s.name): s for s in again}[key].value == first[key].value


def test_other_images_under_the_same_names_are_another_set_and_a_copy_is_the_same(tiny_recipe, tmp_path):
    data, told = labelled_folder(tmp_path / "data"), []
    run, _, _ = _evaluated(tiny_recipe, tmp_path, "stargan", data)
    for path in data.rglob("*.png"):  # fetched again
        os.utime(path, (1, 1))
    evaluate(run, classifier=RULER, device="cpu", log=told.append, quiet=True)
    assert not any("training a classifier" in line for line in told)
    for path in data.rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    evaluate(run, classifier=RULER, device="cpu", log=told.append, quiet=True)
    assert sum("training a classifier" in line for line in told) == 1


def test_unpaired_runs_are_held_to_the_wanted_domain_both_ways(tiny_recipe, tmp_path):
    _, scores, table = _evaluated(tiny_recipe, tmp_path, "cyclegan", unpaired_folder(tmp_path / "data"))
    for name in ("to A", "to B"):
        taken = table["translations that the classifier takes for the wanted domain", name]
        assert taken.images == 2 and "inputs" in taken.floor and "real test images" in taken.ceiling
        distance = table["KID x 1000 in classifier features", name]
        assert (distance.images, distance.reals) == (2, 6), "translations of test images to training images"
    assert not any("truth" in score.table for score in scores)


@pytest.mark.parametrize("bands", [1, 5])
def test_floating_point_of_any_bands_is_measured_within_the_recipes_range(tiny_recipe, tmp_path, bands):
    tifffile = pytest.importorskip("tifffile", reason="such files are written by tifffile")
    data = unpaired_folder(tmp_path / "data")
    rng = np.random.default_rng(0)
    for path in data.rglob("*.png"):
        values = rng.uniform(-2, 4, (16, 16, bands)).astype(np.float32)
        several = {} if bands == 1 else {"planarconfig": "contig"}
        tifffile.imwrite(path.with_suffix(".tif"), values.squeeze(), photometric="minisblack", metadata=None, **several)
        path.unlink()
    settings = ("data.range=[-2, 4]", f"data.channels={bands}")
    run, scores, table = _evaluated(tiny_recipe, tmp_path, "cyclegan", data, *settings)
    assert table["translations that the classifier takes for the wanted domain", "to A"].images == 2
    assert any("not 5 bands" in score.note for score in scores) == (bands == 5)
    told = []
    evaluate(run, classifier=RULER, device="cpu", log=told.append, quiet=True)
    assert not any("training a classifier" in line for line in told), "kept and read again"


def test_what_cannot_be_read_or_written_is_told_before_the_work(run_cli, tmp_path):
    (tmp_path / "run").mkdir()
    for words, told in (
        (["--json", "nodir/x.json"], "there is no folder nodir to write it to"),
        (["--json", "run"], "run: is a folder"),
        (["--weights-dir", "nodir"], "--weights-dir nodir: no such folder"),
    ):
        result = run_cli("evaluate", "run", *words)
        assert result.exit_code == 2 and told in result.output, result.output


def test_what_convert_delivers_is_what_is_scored(tiny_recipe, tmp_path, run_cli):
    """Files of unlike sizes, converted from the command line and compared by hand."""
    data = tmp_path / "data"
    for split in ("train", "test"):
        for number, (width, height) in enumerate([(40, 30), (20, 16), (24, 48), (16, 16)]):
            put(data, f"{split}A/{number}.png", f"{split}B/{number}.png", width=width, height=height)
    run, scores, table = _evaluated(tiny_recipe, tmp_path, "pix2pix", data)
    delivered = table["L1 to the truth, 0-1 scale", "to B, as converted"]
    assert run_cli("convert", run, data / "testA", tmp_path / "out", "--precision", "float32").exit_code == 0

    def apart(folder):
        errors = []
        for path in sorted((data / "testB").iterdir()):
            one, truth = (np.asarray(Image.open(place / path.name)).astype(float) for place in (folder, path.parent))
            errors.append(np.abs(one - truth).mean() / 255)
        return np.mean(errors)

    assert delivered.value == pytest.approx(apart(tmp_path / "out"), abs=1e-5)
    assert delivered.floor["untouched input"] == pytest.approx(apart(data / "testA"), abs=1e-5)
    assert "as `translate convert` does, at the trained scale" in delivered.protocol["translated"]
    assert delivered.protocol["rounding"] == "rounded to 8-bit files" and delivered.images == 4
    at_size = table["L1 to the truth, 0-1 scale", "to B"]
    assert at_size.protocol["resize"] == "Pillow bicubic to 16, stretched" and "translated" not in at_size.protocol
    assert [score.name for score in scores].index("to B, as converted") == 0


def test_what_convert_delivers_of_classes_is_scored_from_each_to_each(tiny_recipe, tmp_path, run_cli):
    data = tmp_path / "data"
    for number, (width, height) in enumerate([(40, 30), (20, 16), (24, 48)]):
        names = [f"{split}/{label}/{number}.png" for split in ("train", "test") for label in "abc"]
        put(data, *names, width=width, height=height)
    (data / "dataset.yaml").write_text("test_paired: true\n")
    run, _, table = _evaluated(tiny_recipe, tmp_path, "stargan", data)
    assert sum(title.startswith("L1") and name.endswith(", as converted") for title, name in table) == 6
    for origin, to in ("ab", "ca"):
        out, options = tmp_path / f"{origin}{to}", ("--to", to, "--precision", "float32", "--device", "cpu")
        assert run_cli("convert", run, data / "test" / origin, out, *options).exit_code == 0
        errors = []
        for truth in (data / "test" / to).iterdir():
            one, other = (np.asarray(Image.open(path)).astype(float) for path in (out / truth.name, truth))
            errors.append(np.abs(one - other).mean() / 255)
        delivered = table["L1 to the truth, 0-1 scale", f"to {to} from {origin}, as converted"]
        assert delivered.value == pytest.approx(np.mean(errors), abs=1e-5) and delivered.images == 3


def test_files_of_the_size_that_is_trained_at_are_scored_once(tiny_recipe, tmp_path):
    data = tmp_path / "data"
    names = [f"{split}{domain}/{number}.png" for split in ("train", "test") for domain in "AB" for number in "01"]
    _, scores, _ = _evaluated(tiny_recipe, tmp_path, "pix2pix", put(data, *names, width=16, height=16))
    assert {score.name for score in scores} == {"to B"}


def test_paired_runs_are_held_to_the_truth(tiny_recipe, tmp_path):
    _, scores, table = _evaluated(tiny_recipe, tmp_path, "pix2pix", paired_folder(tmp_path / "data"))
    error = table["L1 to the truth, 0-1 scale", "to B"]
    assert set(error.floor) == {"untouched input", "best colour map"} and error.images == 2
    (model,) = {score.protocol["model"] for score in scores}
    (colours,) = {score.protocol["best colour map"] for score in scores}
    assert model == "tiny-pix2pix after step 4" and colours == "fitted on training pairs"


@pytest.mark.parametrize(("model", "make"), [("pix2pix", paired_folder), ("stargan", labelled_folder)])
def test_scores_on_validation_images_say_so(tiny_recipe, tmp_path, model, make):
    data = make(tmp_path / "data")
    for folder in list(data.glob("test*")):
        folder.rename(folder.with_name(folder.name.replace("test", "val")))
    _, scores, _ = _evaluated(tiny_recipe, tmp_path, model, data)
    assert {score.protocol["split"] for score in scores if score.protocol} == {"validation"}


def test_shapes_are_held_to_the_truth_in_every_direction(tiny_recipe, tmp_path):
    shapes = "data.shapes={styles: [flat, outlined, haloed], train: 4, test: 2}"
    _, scores, _ = _evaluated(tiny_recipe, tmp_path, "stargan", "shapes", shapes, "data.size=32", "data.load_size=32")
    assert sum(score.table.startswith("L1 to the truth") for score in scores) == 6


def test_digits_are_counted_in_source_and_target(tiny_recipe, tmp_path):
    size = ("data.size=32", "data.load_size=32", "data.channels=1")
    _, _, table = _evaluated(tiny_recipe, tmp_path, "unit-digits", digit_sets(tmp_path / "both"), *size)
    source, target = table["digits read right", "one (source)"], table["digits read right", "two (target)"]
    assert (source.images, target.images) == (10, 20)
    assert "classifier of the source alone" in target.floor


@pytest.mark.parametrize("model", ["cgan", "gan"])
def test_what_is_drawn_is_read_by_a_classifier(tiny_recipe, tmp_path, model, monkeypatch):
    monkeypatch.setattr("translate.runs.evaluations.DRAWN", 60)
    _, _scores, table = _evaluated(tiny_recipe, tmp_path, model, labelled_folder(tmp_path / "data"))
    if model == "cgan":
        assert table["samples read as the class wanted", "all"].images == 60
        assert table["samples read as the class wanted", "a"].images == 20
    else:
        assert sum(table["samples read as each class", name].value for name in "abc") == pytest.approx(100)


def test_changed_classes_are_refused(tiny_recipe, tmp_path):
    data = labelled_folder(tmp_path / "data")
    run, _, _ = _evaluated(tiny_recipe, tmp_path, "stargan", data)
    (data / "train" / "a").rename(data / "train" / "z")
    (data / "test" / "a").rename(data / "test" / "z")
    with pytest.raises(ConfigurationError, match="its domains are now b, c, z"):
        evaluate(run, classifier=RULER, device="cpu", quiet=True)


def test_data_that_moved_is_measured_the_same_where_it_lies_now(tiny_recipe, tmp_path):
    data = paired_folder(tmp_path / "data")
    (data / "testA" / "test0.png").write_bytes(b"not an image")
    run, before, _ = _evaluated(tiny_recipe, tmp_path, "pix2pix", data, "data.skip_bad=true")
    data.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="no such folder"):
        evaluate(run, classifier=RULER, device="cpu", quiet=True)
    moved = evaluate(run, data=tmp_path / "elsewhere", classifier=RULER, device="cpu", quiet=True)
    assert [(score.name, score.value, score.images) for score in moved] == [
        (score.name, score.value, score.images) for score in before
    ]


def test_weights_and_devices_that_cannot_be_are_told_before_anything_is_read(run_cli, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / INCEPTION_FILE).write_bytes(b"own weights")
    (tmp_path / "none").mkdir()
    # There is no such run, which loading would tell.
    for words, told in (
        (["--weights-dir", "own"], f"own/{INCEPTION_FILE} is another file or damaged: SHA-256"),
        (["--weights-dir", "none"], f"needs the file none/{INCEPTION_FILE}; or leave it out"),
        (["--device", "cuda:99"], "CUDA devices are visible"),
    ):
        refused = run_cli("evaluate", "nowhere", *words)
        assert refused.exit_code == 2 and told in refused.stderr, refused.output
    # What only the environment names is a warning, at once, too.
    monkeypatch.setenv("TRANSLATE_WEIGHTS_DIR", "own")
    refused = run_cli("evaluate", "nowhere")
    assert "warning: TRANSLATE_WEIGHTS_DIR: Inception's distances are unavailable: own/" in refused.stderr
    assert "nowhere: no such run" in refused.stderr
