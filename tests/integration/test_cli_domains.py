"""Many domains and noise from the command line: attributes set and cleared, samples of a class, joint sets."""

import numpy as np
import pytest
from PIL import Image
from tiny import labelled_folder, write_images

from translate.training.checkpoint import load_checkpoint


def _attributes(root):
    """Eight images and a CelebA-style file; the last one is for testing."""
    names = [f"{index}.png" for index in range(8)]
    write_images(root / "images", names)
    rows = [f"{name} {1 if index % 2 else -1} {1 if index < 4 else -1} -1" for index, name in enumerate(names)]
    (root / "list_attr.txt").write_text("\n".join(["8", "Blond Male Old", *rows]) + "\n")
    return root


def _train(run_cli, tiny_recipe, model, data, *options):
    result = run_cli("train", tiny_recipe(model), "--data", data, "--out", "run", "-q", *options)
    assert result.exit_code == 0, result.output
    return result


def test_attributes_are_set_and_cleared_by_name(run_cli, tiny_recipe, tmp_path):
    data = _attributes(tmp_path / "faces")
    _train(run_cli, tiny_recipe, "stargan", data, "--domains", "Blond, Male")
    facts = load_checkpoint(tmp_path / "run" / "checkpoints", "latest").facts
    assert facts["domains"] == ["Blond", "Male"] and facts["groups"] == [{"size": 2, "exclusive": False}]

    set_one = run_cli("convert", "run", data / "images", "one", "--to", "Blond", "-q")
    both = run_cli("convert", "run", data / "images", "both", "--to", "Blond", "--to", "-Male", "-q")
    assert set_one.exit_code == both.exit_code == 0, set_one.output + both.output
    one, two = (np.asarray(Image.open(tmp_path / folder / "0.png")).astype(int) for folder in ("one", "both"))
    assert one.shape == two.shape == (24, 24, 3)


@pytest.mark.parametrize(
    ("to", "told"),
    [
        (["Blnd"], "did you mean 'Blond'"),
        (["-Blnd"], "did you mean 'Blond'"),
        ([], "--to is needed: this model converts to Blond or Male"),
    ],
)
def test_unknown_attributes_are_answered_with_the_nearest(run_cli, tiny_recipe, tmp_path, to, told):
    data = _attributes(tmp_path / "faces")
    _train(run_cli, tiny_recipe, "stargan", data, "--domains", "Blond,Male")
    options = [part for name in to for part in ("--to", name)]
    result = run_cli("convert", "run", data / "images", "out", *options)
    assert result.exit_code == 2 and told in result.output and not (tmp_path / "out").exists()


def test_a_misspelt_attribute_stops_training_before_anything_is_written(run_cli, tiny_recipe, tmp_path):
    data = _attributes(tmp_path / "faces")
    result = run_cli("train", tiny_recipe("stargan"), "--data", data, "--domains", "Blonde,Male", "--out", "run")
    assert result.exit_code == 2 and "did you mean 'Blond'" in result.output and not (tmp_path / "run").exists()


def test_classes_cannot_be_cleared_or_mixed(run_cli, tiny_recipe, tmp_path):
    data = labelled_folder(tmp_path / "flowers")
    _train(run_cli, tiny_recipe, "stargan", data)
    cleared = run_cli("convert", "run", data / "test", "out", "--to", "-a")
    assert cleared.exit_code == 2 and "is no attribute" in cleared.output
    mixed = run_cli("convert", "run", data / "test", "out", "--to", "a", "--to", "b")
    assert mixed.exit_code == 2 and "one domain at a time" in mixed.output
    assert run_cli("convert", "run", data / "test", "out", "--to", "b", "-q").exit_code == 0


def test_sets_are_trained_jointly_with_labels_of_their_own(run_cli, tiny_recipe, tmp_path):
    faces, moods = _attributes(tmp_path / "faces"), labelled_folder(tmp_path / "moods")
    _train(run_cli, tiny_recipe, "stargan", faces, "--set", f"data.also=[{moods}]")
    facts = load_checkpoint(tmp_path / "run" / "checkpoints", "latest").facts
    assert facts["domains"] == ["Blond", "Male", "Old", "a", "b", "c"]
    assert facts["groups"] == [{"size": 3, "exclusive": False}, {"size": 3, "exclusive": True}]
    # A face with another set's mood, and a face with an attribute changed.
    assert run_cli("convert", "run", faces / "images", "mood", "--to", "b", "-q").exit_code == 0
    assert run_cli("convert", "run", faces / "images", "male", "--to", "-Male", "-q").exit_code == 0


def test_resuming_with_other_classes_is_refused(run_cli, tiny_recipe, tmp_path):
    data = labelled_folder(tmp_path / "flowers")
    _train(run_cli, tiny_recipe, "stargan", data)
    for split in ("train", "test"):
        (data / split / "c").rename(data / split / "d")
    again = run_cli(
        "train", tiny_recipe("stargan"), "--data", data, "--out", "run", "--resume", "--set", "training.steps=8"
    )
    assert again.exit_code == 2 and "began with the domains a, b, c" in again.output


def test_samples_of_a_class_come_in_a_folder_and_a_grid(run_cli, tiny_recipe, tmp_path):
    data = labelled_folder(tmp_path / "flowers")
    _train(run_cli, tiny_recipe, "cgan", data)
    result = run_cli("sample", "run", "out", "--count", 3, "--label", "b", "--grid")
    assert result.exit_code == 0, result.output
    images = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert images == ["b/00000.png", "b/00001.png", "b/00002.png", "grid.png"]
    again = run_cli("sample", "run", "out", "--count", 3, "--label", "b")
    assert again.exit_code == 2 and "exists already" in again.output
    unknown = run_cli("sample", "run", "other", "--label", "q")
    assert unknown.exit_code == 2 and "a, b, c" in unknown.output


def test_converting_with_a_sampler_and_sampling_with_a_translator_point_to_each_other(run_cli, tiny_recipe, tmp_path):
    data = labelled_folder(tmp_path / "flowers")
    _train(run_cli, tiny_recipe, "gan", data)
    wrong = run_cli("convert", "run", data / "test", "out")
    assert wrong.exit_code == 2 and "translate sample" in wrong.output
    run_cli("train", tiny_recipe("stargan"), "--data", data, "--out", "other", "-q")
    wrong = run_cli("sample", "other", "out")
    assert wrong.exit_code == 2 and "translate convert" in wrong.output


@pytest.mark.parametrize("recipe", ["vae", "autoencoder"])
def test_auto_encoders_train_and_only_the_variational_one_is_held_to_a_bound(run_cli, tmp_path, recipe):
    data = labelled_folder(tmp_path / "flowers")
    small = [f"training.{key}" for key in ("steps=2", "batch_size=2", "validation_images=2")]
    options = [part for setting in small for part in ("--set", setting)]
    result = run_cli("train", recipe, "--data", data, "--out", "run", "-q", *options)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "summary.json").exists() == (recipe == "vae")
    assert run_cli("sample", "run", "out", "--count", 2).exit_code == 0


@pytest.mark.parametrize("recipe", ["gan", "wgan", "wgan-gp"])
def test_every_recipe_of_perceptrons_takes_points(run_cli, tmp_path, recipe):
    result = run_cli("train", recipe, "--data", "ring", "--out", "run", "-q", "--set", "training.steps=2")
    assert result.exit_code == 0, result.output


def test_points_are_trained_on_and_drawn(run_cli, tmp_path):
    steps = ("--set", "training.steps=2", "--out", "run", "-q")
    result = run_cli("train", "wgan-gp-ring", *steps)
    assert result.exit_code == 0, result.output
    assert run_cli("sample", "run", "out", "--count", 5, "--grid").exit_code == 0
    assert len((tmp_path / "out" / "points.csv").read_text().splitlines()) == 6
    summary = (tmp_path / "run" / "summary.json").read_text()
    assert "modes_covered" in summary and "real points" in summary
    assert "2,500 points drawn by the model" in (tmp_path / "run" / "report.html").read_text()


def test_scores_are_printed_and_written(run_cli, tiny_recipe, tmp_path, monkeypatch):
    from translate.evaluation import classifier

    monkeypatch.setattr(
        "translate.runs.evaluate.ClassifierSettings",
        lambda: classifier.ClassifierSettings(size=16, steps=2, batch_size=4),
    )
    data = labelled_folder(tmp_path / "flowers")
    _train(run_cli, tiny_recipe, "stargan", data)
    data.rename(tmp_path / "moved")
    result = run_cli("evaluate", "run", "-q", "--data", "moved")
    assert result.exit_code == 0, result.output
    assert "classification error of translations" in result.stdout and "floor: untranslated input" in result.stdout
    assert (tmp_path / "run" / "evaluation-latest.json").is_file()


@pytest.mark.parametrize("domains", ["flat,nonsense", "outlined,flat"])
def test_domains_of_rendered_shapes_cannot_be_called_otherwise(run_cli, tiny_recipe, tmp_path, domains):
    result = run_cli("train", tiny_recipe("cyclegan"), "--data", "shapes", "--domains", domains, "--device", "cpu")
    assert result.exit_code == 2 and "are its styles, flat and outlined" in result.output
    assert not (tmp_path / "runs").exists()
