"""`translate train --dry-run`: what is told is held to closed forms and to what training then writes."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import (
    CPU,
    SPEC,
    TINY,
    labelled_folder,
    paired_folder,
    random_batch,
    tiny_model,
    tiny_trainer,
    unpaired_folder,
    write_images,
)
from torch import nn

from translate.data.batch import Paired
from translate.models.base import Model, Turn
from translate.runs.train import dry_run, train
from translate.training.estimate import MEASURED, Estimate, estimate
from translate.training.optim import build_optimizer
from translate.training.trainer import Trainer
from translate.utils.settings import Settings


class OneConvolution(Model):
    """Two players with a convolution each, of which one moves at every third step only."""

    Config = Settings
    batch_type = Paired

    def __init__(self):
        super().__init__(Settings(), SPEC)
        self.often, self.seldom = (nn.Conv2d(3, 5, 3, padding=1, bias=False) for _ in range(2))

    def generate(self, batch):
        return {}

    def turns(self):
        return [
            Turn("often", [self.often], lambda batch, fakes: {"loss": self.often(batch.input).square().mean()}),
            Turn("seldom", [self.seldom], lambda batch, fakes: {"loss": self.seldom(batch.input).mean()}, every=3),
        ]

    def show(self, batch):
        return {}


def _of(model: Model, memory_before: int = 0, **options: object) -> Estimate:
    trainer = Trainer(
        model,
        {name: build_optimizer(child, "adam", 0.1, (0.5, 0.999), 0.0) for name, child in model.named_children()},
        CPU,
    )
    batch = Paired(*torch.rand(2, 2, 3, 16, 16))
    return estimate(trainer, iter(lambda: batch, None), steps=7200, keep=3, memory_before=memory_before, **options)


def test_arithmetic_and_parameters_are_the_closed_forms():
    told = _of(OneConvolution())
    forward = 2 * (2 * 16 * 16) * 5 * 3 * 9  # a multiplication and an addition: pixels, maps out, maps in, kernel
    # Forwards, and backwards to the weights alone: nothing asks for the images' gradient.
    assert told.flops == pytest.approx(2 * forward * (1 + 1 / 3))
    assert told.parameters == {"often": 135, "seldom": 135}


def test_whole_rounds_of_turns_are_measured():
    steps = []

    class Counted(OneConvolution):
        def generate(self, batch):
            steps.append(1)
            return {}

    _of(Counted())
    assert len(steps) == 3 + 3 + 12 and MEASURED == 10


@pytest.mark.parametrize(("seconds", "taken", "measured"), [(0.1, 18, 12), (4, 15, 9), (6, 12, 6), (11, 6, 3)])
def test_slow_steps_are_measured_fewer_times_but_in_whole_rounds(seconds, taken, measured):
    now, steps = [0.0], []

    class Slow(OneConvolution):
        def generate(self, batch):
            now[0] += seconds
            steps.append(1)
            return {}

    told = _of(Slow(), clock=lambda: now[0])
    assert (len(steps), told.measured) == (taken, measured)
    assert told.seconds == pytest.approx(seconds) and f"(mean of {measured})" in "\n".join(told.lines())


def test_memory_that_the_process_had_held_before_is_not_told_as_none(monkeypatch):
    monkeypatch.setattr("translate.training.estimate.process_memory", lambda: 10**9)
    told = _of(OneConvolution(), memory_before=10**9)
    assert told.memory is None and "peak memory   not measured" in "\n".join(told.lines())
    assert _of(OneConvolution(), memory_before=5 * 10**8).memory == 5 * 10**8


def test_how_far_it_is_is_shown(capsys):
    _of(OneConvolution(), quiet=False)
    assert "measuring: 18/18 steps" in capsys.readouterr().err


def test_hours_and_lines_follow_from_a_step():
    told = Estimate({"g": 1000}, 4e9, 2.0, 10, 0.5, 3 * 10**9, "grown", 10**8, 5, 7200, "cpu")
    assert told.hours == 4
    text = "\n".join(told.lines())
    for words in (
        "1,000: g 1,000",
        "4 GFLOP, 2 s (mean of 10)",
        "0.002 TFLOP/s, 25 % of",
        "3 GB, grown",
        "7,200: 4 hours",
        "500 MB",
    ):
        assert words in text


@pytest.mark.parametrize("name", TINY)
def test_any_model_is_estimated(name):
    model = tiny_model(name)
    trainer = tiny_trainer(model)
    batches = (random_batch(model, seed=seed) for seed in range(1000))
    told = estimate(trainer, batches, steps=100, keep=1, memory_before=0)
    assert told.flops > 0 and told.seconds >= told.waiting >= 0
    assert sum(told.parameters.values()) == sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize(("name", "folder"), [("pix2pix", paired_folder), ("stargan", labelled_folder)])
def test_a_checkpoint_is_as_large_as_was_told(tiny_recipe, tmp_path, name, folder):
    options = {"data": folder(tmp_path / "data"), "device": "cpu", "overrides": ["training.ema=0.9"], "quiet": True}
    told = dry_run(tiny_recipe(name), **options)
    run = train(tiny_recipe(name), out=tmp_path / "run", tracking="disabled", **options)
    parts = (run / "checkpoints" / "step-00000004").glob("*.safetensors")
    written = sum(tensor.nbytes for part in parts for tensor in load_file(part).values())
    # Sums of losses that are not yet logged are a few numbers.
    assert written <= told.checkpoint < written + 400
    assert told.steps == 4


def test_a_dry_run_writes_nothing(run_cli, tiny_recipe, tmp_path):
    recipe, data = tiny_recipe("cyclegan"), unpaired_folder(tmp_path / "data")
    before = _files(tmp_path)
    result = run_cli("train", recipe, "--data", data, "--device", "cpu", "--dry-run", "--out", "run")
    assert result.exit_code == 0, result.output
    assert _files(tmp_path) == before
    for words in ("parameters", "a step", "peak memory", "all steps     4:", "checkpoints"):
        assert words in result.stdout


def test_a_dry_run_refuses_images_that_no_crop_fits_as_training_does(run_cli, tiny_recipe, tmp_path):
    """Also those that none of its few steps would draw."""
    data = unpaired_folder(tmp_path / "unpaired")
    write_images(data / "trainA", [f"more{number}.png" for number in range(40)])
    write_images(data / "trainA", ["small.png"], size=12)
    settings = ["--set", "data.resize=none", "--set", "data.size=16", "--set", "training.seed=3"]
    command = ["train", tiny_recipe("cyclegan"), "--data", data, "--device", "cpu", *settings, "--dry-run"]
    refused = run_cli(*command)
    assert refused.exit_code == 2 and "small.png: 12 x 12 pixels are too few for a crop of 16" in refused.output
    assert run_cli(*command, "--set", "data.skip_bad=true").exit_code == 0
    assert run_cli(*command, "--set", "data.resize=square").exit_code == 0, "which it advises"


def test_a_dry_run_measures_the_runtime_that_is_asked_for(run_cli, tiny_recipe, tmp_path):
    arguments = ("train", tiny_recipe("cyclegan"), "--data", unpaired_folder(tmp_path / "data"), "--device", "cpu")
    result = run_cli(*arguments, "--dry-run", "--engine", "plain")
    assert result.exit_code == 0, result.output
    assert "channels first" in result.stdout and "fused" not in result.stdout


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
