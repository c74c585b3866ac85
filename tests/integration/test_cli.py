"""The commands as a user types them: what they print, write, and exit with."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import labelled_folder, paired_folder, put, unpaired_folder, write_images

import translate
from translate.training.checkpoint import saved_steps


@pytest.fixture
def trained(run_cli, tiny_recipe, tmp_path):
    """A tiny CycleGAN run of four steps."""
    data = unpaired_folder(tmp_path / "horse2zebra")
    result = run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "--device", "cpu")
    assert result.exit_code == 0, result.output
    return tmp_path / "run"


def test_training_leaves_a_whole_run_behind(trained):
    assert {"recipe.yaml", "metrics.jsonl", "samples", "report.html", "checkpoints"} <= {
        p.name for p in trained.iterdir()
    }
    latest = (trained / "checkpoints" / "latest").read_text().strip()
    assert latest == "step-00000004"
    assert (trained / "checkpoints" / "best").is_file()
    assert {p.name for p in (trained / "checkpoints" / latest).iterdir()} == {
        "model.safetensors",
        "training.safetensors",
        "checkpoint.json",
        "manifest.json",
    }
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "generators/cycle/a" in row] == [2, 4]
    assert {row["step"] for row in rows} == {2, 4}, "and what was measured, in rows of their own"
    assert rows[0]["generators/cycle/a"] > 0
    assert Image.open(trained / "samples" / "step-00000004.png").width > 6 * 16
    assert "<svg" in (trained / "report.html").read_text()
    assert "pool: 3" in (trained / "recipe.yaml").read_text()


def test_what_was_found_is_said_and_the_run_is_printed(run_cli, tiny_recipe, tmp_path):
    data = unpaired_folder(tmp_path / "horse2zebra")
    result = run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--device", "cpu")
    assert "6 horse, 6 zebra" in result.stderr
    assert result.stdout.strip() == "runs/tiny-cyclegan-horse2zebra"
    again = run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--device", "cpu", "-q")
    assert again.stdout.strip() == "runs/tiny-cyclegan-horse2zebra-2"
    assert again.stderr == ""


def test_a_folder_is_converted_with_names_sizes_and_formats_kept(run_cli, trained, tmp_path):
    photos = tmp_path / "photos"
    write_images(photos / "a b", ["x.png", "ünï.jpg"], size=21)
    write_images(photos, ["x.png", "-y.webp"], size=13)
    result = run_cli("convert", trained, photos, "zebras", "--to", "zebra", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == "4 converted, 0 skipped, 0 failed"
    for path in sorted(p for p in photos.rglob("*.*")):
        output = tmp_path / "zebras" / path.relative_to(photos)
        with Image.open(path) as before, Image.open(output) as after:
            assert after.size == before.size and after.format == before.format
    again = run_cli("convert", trained, photos, "zebras", "--to", "zebra", "--device", "cpu")
    assert again.stdout.strip() == "0 converted, 4 skipped, 0 failed"
    again = run_cli("convert", trained, photos, "zebras", "--to", "zebra", "--device", "cpu", "--overwrite", "-q")
    assert again.stdout.strip() == "4 converted, 0 skipped, 0 failed"


def test_a_pair_side_by_side_is_told_before_it_is_converted_whole(run_cli, tiny_recipe, tmp_path):
    data = put(tmp_path / "pairs", "train/1.png", "train/2.png", "test/3.png", width=48, height=24)
    trained = run_cli("train", tiny_recipe("pix2pix"), "--data", data, "--out", "run", "--device", "cpu")
    assert trained.exit_code == 0, trained.output
    told = "3.png is twice as wide as high"
    assert told in run_cli("convert", "run", data / "test", "out").stderr
    put(tmp_path / "inputs", "3.png", width=24, height=24)
    assert "twice as wide" not in run_cli("convert", "run", "inputs", "other").stderr
    assert Image.open(tmp_path / "out" / "3.png").size == (48, 24)


def test_settings_may_stand_behind_the_recipe_as_sweeps_write_them(run_cli, tiny_recipe, tmp_path):
    unpaired_folder(tmp_path / "horse2zebra")
    swept = ["training.lr=0.001", "training.betas=[0.5, 0.9]", "data.flip=False"]
    command = ["train", tiny_recipe("cyclegan"), *swept, "--data", "horse2zebra", "--device", "cpu"]
    assert run_cli(*command, "--out", "run", "--set", "training.steps=2").exit_code == 0
    recipe = translate.load_recipe("run/recipe.yaml")
    assert (recipe.training.lr, recipe.training.betas, recipe.training.steps) == (0.001, (0.5, 0.9), 2)
    assert recipe.data.flip is False


def test_both_directions_come_from_one_run_and_differ(run_cli, trained, tmp_path):
    write_images(tmp_path / "photos", ["x.png"])
    for domain in ("horse", "zebra"):
        assert run_cli("convert", trained, "photos", domain, "--to", domain, "--device", "cpu").exit_code == 0
    one, two = (np.asarray(Image.open(tmp_path / domain / "x.png")) for domain in ("horse", "zebra"))
    assert (one != two).any()


def _bad_folder(folder):
    write_images(folder, ["good.png", "tiny.png", "long.png", "odd.jpg"], size=19)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (1, 1, 3), dtype=np.uint8)).save(folder / "tiny.png")
    Image.fromarray(rng.integers(0, 256, (3, 1000, 3), dtype=np.uint8)).save(folder / "long.png")
    photo = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    photo.quantize(16).save(folder / "palette.png")
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG")
    (folder / "truncated.jpg").write_bytes(buffer.getvalue()[:-200])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("not an image")


@pytest.mark.parametrize("batch", [1, 4])
def test_good_files_are_converted_bad_ones_listed_exit_3(run_cli, trained, tmp_path, batch):
    _bad_folder(tmp_path / "photos")
    result = run_cli("convert", trained, "photos", "out", "--to", "zebra", "--batch", batch, "--device", "cpu")
    assert result.exit_code == 3
    assert result.stdout.strip() == "6 converted, 0 skipped, 3 failed"
    written = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert written == {"good.png", "tiny.png", "long.png", "odd.jpg", "palette.png", "cmyk.jpg"}
    for name in ("truncated.jpg", "empty.png", "text.jpg"):
        assert f"photos/{name}" in result.stderr
    assert "Traceback" not in result.output
    assert Image.open(tmp_path / "out" / "long.png").size == (1000, 3)
    assert Image.open(tmp_path / "out" / "tiny.png").size == (1, 1)


def test_the_batch_size_does_not_change_a_file(run_cli, trained, tmp_path):
    write_images(tmp_path / "photos", [f"{i}.png" for i in range(5)], size=21)
    for batch in (1, 3):
        run_cli(
            "convert",
            trained,
            "photos",
            f"out{batch}",
            "--to",
            "zebra",
            "--batch",
            batch,
            "--precision",
            "float32",
        )
    for i in range(5):
        one, three = (np.asarray(Image.open(tmp_path / f"out{batch}" / f"{i}.png")) for batch in (1, 3))
        assert np.array_equal(one, three)


def test_one_file_is_converted_into_a_folder_or_to_a_name(run_cli, trained, tmp_path):
    write_images(tmp_path, ["x.png"])
    assert run_cli("convert", trained, "x.png", "folder", "--to", "zebra").exit_code == 0
    assert run_cli("convert", trained, "x.png", "y.jpg", "--to", "zebra").exit_code == 0
    assert (tmp_path / "folder" / "x.png").is_file() and Image.open(tmp_path / "y.jpg").format == "JPEG"


@pytest.mark.parametrize("output", ["photos", "photos/inside", "./photos/../photos"])
def test_an_output_inside_the_input_is_refused(run_cli, trained, tmp_path, output):
    write_images(tmp_path / "photos", ["x.png"])
    result = run_cli("convert", trained, "photos", output, "--to", "zebra")
    assert result.exit_code == 2
    assert "lies inside it" in result.stderr
    assert [p.name for p in (tmp_path / "photos").rglob("*")] == ["x.png"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["convert", "nowhere", "photos", "out"], "nowhere: no such run"),
        (["convert", "run", "nothing", "out"], "nothing: no such file or folder"),
        (["convert", "run", "photos", "out", "--to", "zebr"], "did you mean 'zebra'?"),
        (["convert", "run", "photos", "out"], "--to is needed"),
        (["convert", "run", "photos", "out", "--to", "zebra", "--checkpoint", "7"], "saved steps: 2, 4"),
        (["convert", "run", "empty", "out", "--to", "zebra"], "no images found"),
        (
            ["convert", "run", "photos", "out", "--to", "zebra", "--device", "cuda:99"],
            "CUDA devices are visible",
        ),
        (["convert", "run", "photos", "out", "--to", "zebra", "--device", "tpu"], "expected auto, cpu, cuda"),
        (["train", "cyclegan"], "--data is needed"),
        (["train", "cyclegan", "horse2zebra"], "--data horse2zebra"),
        (["train", "run", "--resume"], "translate train run/recipe.yaml --out run --resume"),
        (["train", "cyclgan", "--data", "shapes"], "did you mean 'cyclegan'?"),
        (["train", "cyclegan", "--data", "horse2zebr"], "horse2zebra"),
        (["train", "cyclegan", "--data", "horse2zebra", "--out", "run"], "--resume"),
        (["train", "pix2pix", "--data", "horses2zebras", "--out", "new"], "unpaired"),
        (["data", "check", "nothing"], "nothing"),
        (["trian"], "train"),
    ],
)
def test_a_users_mistake_is_answered_with_exit_2_and_a_way_out(run_cli, trained, tmp_path, arguments, says):
    write_images(tmp_path / "photos", ["x.png"])
    unpaired_folder(tmp_path / "horses2zebras")
    (tmp_path / "empty").mkdir()
    result = run_cli(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_paired_images_are_refused_as_unpaired(run_cli, tiny_recipe, tmp_path):
    result = run_cli("train", tiny_recipe("cyclegan"), "--data", paired_folder(tmp_path / "pairs"))
    assert result.exit_code == 2
    assert "paired" in result.stderr and "data.layout=unpaired" in result.stderr
    assert not (tmp_path / "runs").exists()


def test_recipes_are_listed_and_printed_resolved(run_cli):
    listed = run_cli("recipes").stdout
    assert all(name in listed for name in ("cyclegan", "pix2pix-paper"))
    printed = run_cli("recipes", "cyclegan-paper").stdout
    assert "turns: separate" in printed and "identity: 0.5" in printed


def test_data_sets_are_listed_with_their_places(run_cli, tmp_path):
    result = run_cli("data")
    assert result.exit_code == 0
    assert "horse2zebra" in result.stdout and str(tmp_path / "home") in result.stdout


def test_a_folder_is_checked(run_cli, tmp_path):
    data = unpaired_folder(tmp_path / "horse2zebra")
    fine = run_cli("data", "check", data)
    assert fine.exit_code == 0 and "unpaired" in fine.stdout
    (data / "trainA" / "broken.png").write_bytes(b"")
    broken = run_cli("data", "check", data)
    assert broken.exit_code == 3 and "broken.png" in broken.stdout


def test_version_and_help(run_cli):
    assert run_cli("--version").stdout.startswith("translate ")
    for command in ("train", "convert", "sample", "evaluate", "compare", "recipes", "data", "quickstart"):
        assert run_cli(command, "--help").exit_code == 0


FOLDERS = {"cyclegan": unpaired_folder, "pix2pix": paired_folder, "stargan": labelled_folder, "unit": unpaired_folder}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_resumed_run_equals_one_that_never_stopped(run_cli, tiny_recipe, tmp_path, name):
    folder = FOLDERS[name]
    arguments = [
        "train",
        tiny_recipe(name),
        "--data",
        folder(tmp_path / "data"),
        "--device",
        "cpu",
        "training.ema=0.9",
        "training.clip=0.5",
        "training.warmup=3",
    ]
    assert run_cli(*arguments, "--out", "whole").exit_code == 0
    # The same schedule, stopped half way by a signal after its second step.
    stopped = run_cli(*arguments, "--out", "parts", "--set", "training.steps=2", "--set", "training.schedule=constant")
    assert stopped.exit_code == 0
    refused = run_cli(*arguments, "--out", "parts", "--resume")
    assert refused.exit_code == 2 and "training.schedule" in refused.stderr
    constant = [*arguments, "--set", "training.schedule=constant", "--set", "data.workers=2"]
    assert run_cli(*constant, "--out", "straight").exit_code == 0
    resumed = run_cli(*constant, "--out", "parts", "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "parts: resuming after step 2" in resumed.stderr
    for file in ("model", "average", "training"):
        path = f"checkpoints/step-00000004/{file}.safetensors"
        assert (tmp_path / "parts" / path).read_bytes() == (tmp_path / "straight" / path).read_bytes()
    rows = [
        [
            {key: value for key, value in json.loads(line).items() if key != "time"}
            for line in log.read_text().splitlines()
        ]
        for log in (tmp_path / "parts" / "metrics.jsonl", tmp_path / "straight" / "metrics.jsonl")
    ]
    assert rows[0] == rows[1]
    finished = run_cli(*constant, "--out", "parts", "--resume")
    assert finished.exit_code == 0 and "already trained for 4 steps" in finished.stderr


def test_the_python_interface_trains_and_converts(tiny_recipe, tmp_path):
    data = unpaired_folder(tmp_path / "horse2zebra")
    run = translate.train(tiny_recipe("cyclegan"), data=data, out=tmp_path / "run", device="cpu", quiet=True)
    assert saved_steps(run / "checkpoints") == [2, 4]
    converter = translate.load(run, device="cpu")
    photo = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    array = converter.convert(photo, to="zebra")
    assert array.shape == photo.shape and array.dtype == np.uint8
    picture = converter.convert(Image.fromarray(photo), to="zebra")
    assert np.array_equal(np.asarray(picture), array)


def test_the_python_interface_takes_paths_numbers_and_one_override(tiny_recipe, tmp_path):
    data, recipe = unpaired_folder(tmp_path / "horse2zebra"), Path(tiny_recipe("cyclegan"))
    run = translate.train(
        recipe, data, out=tmp_path / "run", device="cpu", quiet=True, overrides="training.checkpoint_every=3"
    )
    assert translate.load_recipe(recipe).name == recipe.stem
    assert translate.load(run, 3, device="cpu").origin == run / "checkpoints" / "step-00000003"


@pytest.mark.skipif(os.name == "nt", reason="SIGPIPE is of POSIX")
def test_a_reader_that_has_read_enough_ends_the_command_quietly_as_sigpipe_would():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as stdout:
        listing = [sys.executable, "-m", "translate", "data"]
        ended = subprocess.run(listing, stdout=stdout, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (141, b"")
