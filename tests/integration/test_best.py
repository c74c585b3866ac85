"""Which checkpoint is the best: measured with the weights that convert, by its L1, across resumed runs."""

import pytest
import torch
from tiny import paired_folder, random_batch, tiny_model, tiny_trainer

from translate.errors import TranslateError
from translate.reporting.tracking import Trackers
from translate.runs import setup
from translate.training.checkpoint import load_checkpoint, pointed, saved_steps
from translate.training.loop import StopPoints, TrainingRun
from translate.training.measuring import Cadence, Measuring
from translate.training.optim import WeightAverage
from translate.training.records import Records
from translate.training.saving import Saver
from translate.utils.signals import Signals


class Scripted:
    """A validation whose L1 is what the test says, which notes the weights that it is shown."""

    name = "to b"

    def __init__(self, *errors):
        self.errors, self.shown = list(errors), []

    def measure(self, model, runtime):
        self.shown.append(
            {key: value.clone() for key, value in model.generator.state_dict(prefix="generator.").items()}
        )
        return {"l1": self.errors.pop(0)}

    def baselines(self):
        return {}


def _quiet(line):
    pass


def _train(folder, trainer, total, *errors, every=2, keep=1, best=None):
    def batches(start):
        while True:
            yield random_batch(trainer.model, seed=start)
            start += 1

    cadence = Cadence(total, log=1, sample=100, validate=every, checkpoint=every, keep=keep)
    validation = Scripted(*errors)
    records = Records(folder, trainer, random_batch(trainer.model), Trackers(), _quiet)
    measuring = Measuring(trainer, cadence, [validation], records, {"best_l1": best})
    saver = Saver(folder / "checkpoints", trainer, cadence, measuring, records, {})
    stops = StopPoints(Signals(), trainer.distributed)
    run = TrainingRun(
        trainer,
        batches,
        cadence,
        records=records,
        measuring=measuring,
        saver=saver,
        stops=stops,
        log=_quiet,
        quiet=True,
    )
    run.go()
    return validation


def test_the_least_error_is_the_best_and_an_equal_one_later_is_not(tmp_path):
    _train(tmp_path, tiny_trainer(tiny_model("pix2pix")), 8, 0.3, 0.2, 0.2, 0.25)
    assert pointed(tmp_path / "checkpoints", "best") == 4
    assert saved_steps(tmp_path / "checkpoints") == [4, 8], "the newest and the best"
    assert load_checkpoint(tmp_path / "checkpoints").facts["best_l1"] == 0.2


def test_a_run_that_goes_on_is_held_to_the_best_before(tmp_path):
    trainer = tiny_trainer(tiny_model("pix2pix"))
    _train(tmp_path, trainer, 4, 0.3, 0.2)
    _train(tmp_path, trainer, 8, 0.25, 0.19, best=0.2)
    assert pointed(tmp_path / "checkpoints", "best") == 8
    _train(tmp_path, trainer, 10, 0.3, best=0.19)
    assert pointed(tmp_path / "checkpoints", "best") == 8


def test_a_resumed_run_is_told_the_best_before(run_cli, tiny_recipe, tmp_path, monkeypatch):
    arguments = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "data"), "--out", "run", "-q"]
    assert run_cli(*arguments).exit_code == 0
    given = {}

    def instead(*places, **more):
        given.update(more)
        raise TranslateError("enough")

    monkeypatch.setattr(setup, "TrainingRun", instead)
    run_cli(*arguments, "--resume", "--set", "training.steps=6", "--set", "training.skip_limit=7")
    facts = load_checkpoint(tmp_path / "run" / "checkpoints").facts
    assert given["measuring"].best_l1 == facts["best_l1"] > 0 and given["skip_limit"] == 7
    assert given["measuring"].best == facts["best"] == 4 and given["measuring"].latest == facts["validation"]


def test_the_last_step_is_saved_whatever_is_due(tmp_path):
    _train(tmp_path, tiny_trainer(tiny_model("pix2pix")), 7, 0.3, 0.3, every=4, keep=9)
    assert saved_steps(tmp_path / "checkpoints") == [4, 7]


def test_averaged_weights_are_measured_and_the_others_trained_on(tmp_path):
    model = tiny_model("pix2pix")
    average = WeightAverage({"generator": model.generator}, 0.9)
    trainer = tiny_trainer(model, lr=0.1, average=average)
    validation = _train(tmp_path, trainer, 2, 0.1)
    (shown,) = validation.shown
    assert shown.keys() == average.values.keys()
    assert all(torch.equal(value, average.values[key]) for key, value in shown.items())
    live = model.generator.state_dict(prefix="generator.")
    assert any(not torch.allclose(live[key], value) for key, value in shown.items())
    saved = load_checkpoint(tmp_path / "checkpoints")
    assert all(torch.equal(value, live[key]) for key, value in saved.tensors("model").items() if key in live)
    assert all(torch.equal(value, shown[key]) for key, value in saved.tensors("average").items())


def test_every_row_is_on_the_disk_before_a_checkpoint_that_counts_on_it(tmp_path, monkeypatch):
    """A machine that loses its power resumes there, with all rows up to it."""
    from translate.reporting.tracking import MetricsLog
    from translate.training import saving as training

    done = []
    fsync, save = MetricsLog.fsync, training.save_checkpoint
    monkeypatch.setattr(MetricsLog, "fsync", lambda log: done.append("rows") or fsync(log))
    monkeypatch.setattr(training, "save_checkpoint", lambda *parts: done.append("checkpoint") or save(*parts))
    _train(tmp_path, tiny_trainer(tiny_model("pix2pix")), 4, 0.3, 0.3)
    assert done == ["rows", "checkpoint"] * 2


@pytest.mark.parametrize("part", ["model", "average"])
def test_no_part_that_is_not_finite_is_saved(tmp_path, part):
    model = tiny_model("pix2pix")
    average = WeightAverage({"generator": model.generator}, 0.9)
    trainer = tiny_trainer(model, average=average)
    spoilt = next(iter(average.values.values())) if part == "average" else model.discriminator.head.weight
    with torch.no_grad():
        spoilt.view(-1)[0] = float("nan")
    with pytest.raises(TranslateError, match="weights are not finite"):
        _train(tmp_path, trainer, 2, 0.1)
    assert not saved_steps(tmp_path / "checkpoints")
