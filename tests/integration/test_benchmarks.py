"""The benchmarks run, on small networks; what they measure is looked at by people."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import warm
from patience import PATIENCE
from PIL import Image
from tiny import write_images

from translate.recipe import load_recipe
from translate.runs.train import train
from translate.training.runtime import Runtime

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
ABSENT = ["kornia", "albumentations", "wandb", "click", "rich", "onnx", "torch_fidelity"]


def run_without(modules, script, *arguments):
    """A script of the benchmarks on a machine that lacks these packages."""
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({modules})); sys.argv = sys.argv[1:]; "
        f"sys.path.insert(0, {str(BENCHMARKS)!r}); runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", code, str(BENCHMARKS / script), *map(str, arguments)]
    # Threads that wait for each other take many times as long on a busy machine.
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return warm.run(command, cwd=BENCHMARKS.parent, env=env)


def test_the_gpu_part_runs_where_only_torch_and_what_training_imports_is_there(tmp_path):
    run = run_without(ABSENT, "gpu.py", "--device", "cpu", "--tiny", "--minutes", 600, "--out", tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert len(found["sections"]) == 13
    assert all(isinstance(section, list) and section for section in found["sections"].values())
    ways = {row["way"] for row in found["sections"]["steps"]}
    assert {"plain", "float32", "auto"} <= ways
    assert "## options against float64" in (tmp_path / "gpu.md").read_text()


def test_the_gpu_part_ends_when_its_time_is_over_and_leaves_what_it_found(tmp_path):
    """Long before the first section is, however fast the machine."""
    run = run_without(ABSENT, "gpu.py", "--device", "cpu", "--tiny", "--minutes", 1e-4, "--out", tmp_path)
    assert run.returncode == 3
    assert "The time was over" in (tmp_path / "gpu.md").read_text()
    assert json.loads((tmp_path / "gpu.json").read_text())["machine"]["torch"]


def test_a_section_that_hangs_is_cut_off_and_those_before_it_are_kept(tmp_path):
    code = """
import pathlib, sys, threading
import gpu
findings = gpu.Findings(pathlib.Path(sys.argv[1]), {"device": "any"})
findings.run("a section", lambda: [{"rate": 7}])
gpu.watch(findings, 0.05)
findings.run("one that hangs", threading.Event().wait)
"""
    run = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=BENCHMARKS, timeout=PATIENCE, check=False)
    assert run.returncode == 3
    assert "The time was over" in (tmp_path / "gpu.md").read_text()
    assert json.loads((tmp_path / "gpu.json").read_text())["sections"] == {"a section": [{"rate": 7}]}


def test_the_gpu_part_names_the_wheels_that_are_missing(tmp_path):
    run = run_without(["pydantic"], "gpu.py", "--device", "cpu", "--out", tmp_path)
    assert run.returncode == 1
    assert "missing here: pydantic pydantic-core annotated-types typing-inspection. Carry them as wheels" in run.stderr


@pytest.mark.parametrize("name", ["cyclegan", "pix2pix"])
def test_the_row_plain_is_the_same_training(name, monkeypatch):
    """Else its ratio to the others would say nothing."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    from common import PlainStep, build_model, random_batch, trainer_of

    port = PlainStep(build_model(name, 32, small=True), torch.device("cpu"))
    trainer = trainer_of(build_model(name, 32, small=True), Runtime(torch.device("cpu"), fused=False))
    start = torch.nn.utils.parameters_to_vector(trainer.model.parameters()).detach()
    for step in range(3):
        for way in (port, trainer):
            way.step(random_batch(way.model, 32, 2, seed=step))
    theirs, ours = (torch.nn.utils.parameters_to_vector(way.model.parameters()) - start for way in (port, trainer))
    assert (ours - theirs).norm() < 0.02 * theirs.norm()
    assert any(isinstance(module, torch.nn.InstanceNorm2d) for module in port.model.modules()) == (name == "cyclegan")


OPTIONS = {
    "step.py": ["--rounds", 2, "--seconds", 1, "--options", "auto"],
    "memory.py": ["--ways", "plain"],
}
# fmt: off
OTHERS = {
    "convert.py": ["--small", "--images", 2, "--rounds", 1, "--backend", "onnxruntime", "openvino"],
    "data.py": ["--count", 16, "--rounds", 1],
    "fidelity.py": [],
    "large_image.py": ["--width", 128, "--height", 128, "--filters", 2, "--blocks", 1, "--rows", 16],
    "many_files.py": ["--files", 1000],
    "scaling.py": [
        "RECIPE", "--size", 16, "--ranks", 1, "--threads", 1, "--rounds", 1, "--seconds", 0.1, "--device", "cpu",
    ],
}
# fmt: on
NEEDED = {"convert.py": ["torchvision", "onnxscript", "onnxruntime", "openvino"], "fidelity.py": ["tifffile"]}


@pytest.mark.parametrize("script", OTHERS)
def test_every_benchmark_writes_its_rows_and_the_machine(script, tiny_recipe, tmp_path):
    for module in NEEDED.get(script, []):
        pytest.importorskip(module)
    path = tmp_path / "found.json"
    options = [tiny_recipe("cyclegan") if option == "RECIPE" else option for option in OTHERS[script]]
    run = run_without([], script, "--json", path, *options)
    assert run.returncode == 0, run.stderr
    found = json.loads(path.read_text())
    assert found["machine"]["torch"] and found["machine"]["commit"]
    header = f"| {' | '.join(found['rows'][0])} |"
    assert header in run.stdout and run.stdout.count("\n| ") >= len(found["rows"])
    if script == "convert.py":
        assert [row["way"] for row in found["rows"]][-2:] == ["ours, onnxruntime", "ours, openvino"]
        assert all(row["differs"] < 8 for row in found["rows"])


@pytest.mark.parametrize("script", OPTIONS)
def test_a_benchmark_writes_what_it_prints(script, tmp_path):
    path = tmp_path / "found.json"
    options = ["--small", "--device", "cpu", "--models", "pix2pix", "--sizes", "32", "--json", path]
    run = run_without([], script, *options, *OPTIONS[script])
    assert run.returncode == 0, run.stderr
    found = json.loads(path.read_text())
    assert found["machine"]["torch"] and found["machine"]["commit"]
    assert found["rows"][0]["way"] == "plain" and "| plain |" in run.stdout
    assert all(row.get("median ms", row.get("peak MiB")) > 0 for row in found["rows"])


def test_precision_is_measured_on_trained_runs(tiny_recipe, tmp_path):
    shapes = ["data.shapes={train: 4, test: 3}", "data.size=32", "data.load_size=32"]
    train(tiny_recipe("pix2pix"), "shapes", out=tmp_path / "run", overrides=shapes, quiet=True, tracking="disabled")
    run = run_without([], "precision.py", tmp_path / "run", "--device", "cpu", "--json", tmp_path / "found.json")
    assert run.returncode == 0, run.stderr
    (row,) = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert (row["directions"], row["images"]) == (1, 3) and "| tiny-pix2pix after step 4 |" in run.stdout
    assert 0 < row["pixels apart, levels of 255: mean"] <= row["99.9 % within"] + 1 <= row["most"] + 1


def test_sizes_of_conversion_are_compared_with_the_untouched_input(trained_once, tmp_path):
    write_images(tmp_path / "photos", ["one.png", "two.png"], size=40)
    pairs = run_without([], "scale.py", "photos", tmp_path / "photos", tmp_path / "pairs")
    assert pairs.returncode == 0, pairs.stderr
    assert sorted(path.name for path in (tmp_path / "pairs").iterdir()) == ["testA", "testB", "trainA", "trainB"]
    options = ("--run", trained_once("pix2pix") / "run-pix2pix", "--sides", "16,64", "--json", tmp_path / "scale.json")
    found = run_without([], "scale.py", "photos", tmp_path / "photos", *options)
    assert found.returncode == 0, found.stderr
    near, far = json.loads((tmp_path / "scale.json").read_text())["rows"]
    assert near["native"] == near["trained"] == near["default"] and near["untouched"] != near["native"]
    assert far["native"] != far["trained"] == far["default"] != far["trained, left so"]


def test_photos_made_of_label_maps_are_compared_with_real_ones_and_read_by_a_segmenter(tiny_recipe, tmp_path):
    folder, copy = tmp_path / "streets", tmp_path / "coloured"
    for part in ("train", "val"):
        labels, photos = (folder / name / part for name in ("labels", "photos"))
        labels.mkdir(parents=True)
        for number in range(4):
            numbers = np.arange(24 * 24).reshape(24, 24) // 40 % (3 + number % 2)  # 3 is what nobody labelled
            Image.fromarray(numbers.astype(np.uint8)).save(labels / f"{number}.png")
        write_images(photos, [f"{number}.jpg" for number in range(4)])
    options = ("labels.py", folder, "--unlabelled", 3)
    assert run_without([], *options, "--colours", copy).returncode == 0
    assert Image.open(copy / "labels" / "val" / "1.png").getpixel((0, 2)) == (128, 0, 0)
    for name, data in (("planes", folder), ("colours", copy)):
        train(tiny_recipe("pix2pix"), str(data), out=tmp_path / name, quiet=True, tracking="disabled")
    few = ("--side", 16, "--steps", 2, "--segmenter", tmp_path / "judge", "--json", tmp_path / "found.json")
    run = run_without([], *options, "--runs", tmp_path / "planes", tmp_path / "colours", *few)
    assert run.returncode == 0, run.stderr
    real, floor, *made = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert [row["photos"] for row in made] == ["planes", "colours"] and real["L1"] == "0.0000" != floor["L1"]
    assert made[0]["L1"] != made[1]["L1"] and all(0 < float(row["mean IoU"]) < 1 for row in (real, floor, *made))
    again = run_without([], *options, *few)
    assert json.loads((tmp_path / "found.json").read_text())["rows"] == [real, floor] and again.returncode == 0


@pytest.mark.slow
def test_unlike_domains_are_converted_both_ways_and_as_their_onnx_files_do(tmp_path):
    for module in ("tifffile", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    for part in ("train", "test"):
        write_images(tmp_path / f"{part}B", [f"{number}.png" for number in range(4)], size=72)
    tiny = ("--tiny", "--sets", "bands", "--steps", 1, "--scene", 100, "--json", tmp_path / "found.json")
    run = run_without([], "unlike_domains.py", tmp_path, *tiny)
    assert run.returncode == 0, run.stderr
    there, back, scene = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert (there["way"], back["way"]) == ("bands to rgb", "rgb to bands")
    assert there["of the right type, channels, size"] == back["of the right type, channels, size"] == "2 of 2"
    assert there["most"] <= 1 and back["most"] <= 2 and there["white"] == 255
    assert scene["of the right type, channels, size"] == "1 of 1" and scene["peak MB"] > 50


def test_a_measure_is_held_against_the_best_checkpoint_of_every_seed(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    regret = importlib.import_module("best_by")._regret
    seeds = [
        {10: {"l1": 0.3, "kid": 1.0, "domain_accuracy": 50.0}, 20: {"l1": 0.1, "kid": 2.0, "domain_accuracy": 90.0}},
        {10: {"l1": 0.2, "kid": 1.0, "domain_accuracy": 80.0}, 20: {"l1": 0.4, "kid": 2.0, "domain_accuracy": 70.0}},
    ]
    chosen = {name: regret(name, seeds) for name in ("newest", "l1", "kid", "domain_accuracy")}
    assert {name: row["steps"] for name, row in chosen.items()} == {
        "newest": "20 20",
        "l1": "20 10",
        "kid": "10 10",
        "domain_accuracy": "20 10",
    }
    assert [row["regret in L1"] for row in chosen.values()] == ["0.1000", "0.0000", "0.1000", "0.0000"]


def test_numbers_of_pairs_are_compared_after_equal_steps(tiny_recipe, tmp_path):
    few = ("data.size=32", "data.load_size=32", "data.shapes.train=5", "data.shapes.test=3", "data.workers=0")
    options = (
        "--pairs",
        "0,3,all",
        "--steps",
        1,
        "--recipe",
        tiny_recipe("cyclegan"),
        "--json",
        tmp_path / "found.json",
    )
    run = run_without([], "pairs.py", tmp_path / "runs", *options, *(word for one in few for word in ("--set", one)))
    assert run.returncode == 0, run.stderr
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert [(row["pairs"], row["steps"]) for row in rows] == [("0", 1), ("3", 1), ("all", 1)]
    assert len({row["untouched input"] for row in rows}) == 1 and all(0 < row["mean"] < 1 for row in rows)
    learned = ["paired/a" in (tmp_path / f"runs/{row['pairs']}-seed0/metrics.jsonl").read_text() for row in rows]
    assert learned == [False, True, True]


def _settings_of_the_comparisons():
    """(recipe, settings) of everything that the comparisons of methods and of objectives train."""
    methods, objectives = (importlib.import_module(name) for name in ("methods", "objectives"))
    for recipe, settings in methods.METHODS.values():
        yield recipe, settings
    for recipe, settings, _ in objectives.TASKS.values():
        for game in objectives.OBJECTIVES.values():
            yield recipe, [*settings, *(f"model.adversarial.{key}={value}" for key, value in game.items())]


def test_what_comparisons_train_is_what_recipes_understand(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    compared = list(_settings_of_the_comparisons())
    assert len(compared) > 20
    for recipe, settings in compared:
        assert load_recipe(recipe, settings).model.name


@pytest.mark.slow
def test_methods_are_judged_alike_after_equal_steps(tmp_path):
    options = ("--methods", "cut,cyclegan", "--steps", 2, "--json", tmp_path / "found.json")
    run = run_without([], "methods.py", tmp_path / "runs", *options)
    assert run.returncode == 0, run.stderr
    untouched, truth, cut, cyclegan = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert truth["L1 to outlined"] == 0 and truth["read as outlined"] > 0.97 and untouched["read as outlined"] < 0.03
    assert cut["L1 to flat"] is None and 0 < cyclegan["L1 to flat"] != cyclegan["L1 to outlined"] > 0
    assert cut["steps"] == cyclegan["steps"] == 2 and cyclegan["parameters"] > cut["parameters"] > 0


@pytest.mark.slow
def test_draws_of_a_style_are_counted_by_palette_and_shown(tiny_recipe, tmp_path):
    few = ["data.shapes={styles: [flat, haloed], palettes: 3, train: 5, test: 3}", "data.size=32", "data.load_size=32"]
    options = {"overrides": few, "quiet": True, "tracking": "disabled"}
    train(tiny_recipe("stargan-v2"), "shapes", out=tmp_path / "run", **options)
    counted = ("--pictures", 2, "--draws", 5, "--json", tmp_path / "found.json")
    run = run_without([], "styles.py", tmp_path / "run", tmp_path / "grid.png", *counted)
    assert run.returncode == 0, run.stderr
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert [row["styles of"] for row in rows] == 2 * ["seeds", "references"]
    assert all(row["coverage of fair draws"] == pytest.approx(1 - (2 / 3) ** 5) for row in rows)
    assert Image.open(tmp_path / "grid.png").size == (2 * 11 * 32, 2 * 4 * 32)


@pytest.mark.slow
def test_a_server_under_load_loses_nothing_and_mixes_nothing_up(trained_once, tmp_path):
    pytest.importorskip("uvicorn")
    path, run = tmp_path / "serve.json", trained_once("pix2pix") / "run-pix2pix"
    found = run_without([], "serve.py", run, "--photos", 12, "--clients", 3, "--side", 24, "--json", path)
    assert found.returncode == 0, found.stderr
    one, several = json.loads(path.read_text())["rows"]
    assert (one["under way"], several["under way"]) == (1, 4)
    assert {(row["photos"], row["answered"], row["right"]) for row in (one, several)} == {(12, 12, 12)}
