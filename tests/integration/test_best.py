"""Which checkpoint is the best: measured with the weights that convert, by its L1, across resumed runs."""

import pytest
import torch
from tiny import paired_folder, random_batch, tiny_model, tiny_trainer, unpaired_folder

from translate.errors import TranslateError
from translate.reporting.tracking import Tracker, Trackers
from translate.runs import setup
from translate.training.best import Best, Choice
from translate.training.checkpoint import load_checkpoint, pointed, saved_steps
from translate.training.loop import StopPoints, TrainingRun
from translate.training.measuring import Cadence, Measuring
from translate.training.optim import WeightAverage
from translate.training.progress_file import ProgressFile
from translate.training.records import Records
from translate.training.saving import Saver
from translate.utils.signals import Signals

BY_ERROR = Choice()


class Scripted:
    """A validation whose L1 is what the test says, which notes the weights that it is shown."""

    name = "to b"

    def __init__(self, *errors):
        self.errors, self.shown = list(errors), []

    def measure(self, model, runtime):
        self.shown.append(
            {key: value.clone() for key, value in model.generator.state_dict(prefix="generator.").items()}
        )
        error = self.errors.pop(0)
        return error if isinstance(error, dict) else {"l1": error}

    def baselines(self):
        return {}


def _quiet(line):
    pass


def _train(
    folder, trainer, total, *errors, every=2, keep=1, best=None, choice=BY_ERROR, saved_every=None, tracker=None
):
    def batches(start):
        while True:
            yield random_batch(trainer.model, seed=start)
            start += 1

    cadence = Cadence(total, log=1, sample=100, validate=every, checkpoint=saved_every or every, keep=keep)
    best = Best(choice, best if isinstance(best, dict) else {"best_l1": best})
    validation = Scripted(*errors)
    records = Records(folder, trainer, random_batch(trainer.model), Trackers([tracker] if tracker else []), _quiet)
    measuring = Measuring(trainer, cadence, [validation], records, {}, best)
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
        progress=ProgressFile(None, trainer.steps, cadence.total, trainer.runtime),
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
    assert given["measuring"].best.value == facts["best_l1"] > 0 and given["skip_limit"] == 7
    assert given["measuring"].best.step == facts["best"] == 4 and given["measuring"].latest == facts["validation"]


def test_patience_ends_a_run_after_so_many_validations_that_were_no_better(tmp_path):
    trainer = tiny_trainer(tiny_model("pix2pix"))
    validation = _train(tmp_path, trainer, 40, 0.3, 0.2, 0.25, 0.2, 0.1, choice=Choice(patience=2))
    assert trainer.steps == 8 and validation.errors == [0.1], "an equal value is no better"
    facts = load_checkpoint(tmp_path / "checkpoints").facts
    assert (facts["step"], facts["best"], facts["stopped_early"]) == (8, 4, True)
    assert (tmp_path / "samples" / "step-00000008.png").is_file(), "its end is shown, as any run's"


def test_patience_starts_again_with_every_better_validation_and_saves_it(tmp_path):
    trainer = tiny_trainer(tiny_model("pix2pix"))
    errors = [0.3, 0.31, 0.2, 0.21, 0.22]
    _train(tmp_path, trainer, 40, *errors, every=1, saved_every=40, choice=Choice(patience=2))
    assert trainer.steps == 5 and saved_steps(tmp_path / "checkpoints") == [3, 5]
    assert pointed(tmp_path / "checkpoints", "best") == 3


def test_what_was_waited_is_kept_when_a_run_goes_on(tmp_path):
    trainer = tiny_trainer(tiny_model("pix2pix"))
    _train(tmp_path, trainer, 6, 0.2, 0.3, 0.3, choice=Choice(patience=3))
    facts = load_checkpoint(tmp_path / "checkpoints").facts
    assert trainer.steps == 6 and facts["validations_since_best"] == 2 and not facts["stopped_early"]
    _train(tmp_path, trainer, 40, 0.3, 0.3, 0.3, best=facts, choice=Choice(patience=3))
    assert trainer.steps == 8


def test_processes_that_measure_unlike_numbers_stop_at_the_main_ones_word(tmp_path, monkeypatch):
    trainer = tiny_trainer(tiny_model("pix2pix"))
    said = [1, 0, 1, 0, 0]
    monkeypatch.setattr(trainer.distributed, "of_main", lambda number: said.pop(0))
    _train(tmp_path, trainer, 40, 0.3, 0.2, 0.1, 0.05, 0.04, choice=Choice(patience=2))
    assert trainer.steps == 10 and not said


def test_the_best_is_chosen_by_the_measure_that_is_wanted(tmp_path):
    trainer = tiny_trainer(tiny_model("pix2pix"))
    found = [{"l1": 0.3, "ssim": 0.5}, {"l1": 0.4, "ssim": 0.6}, {"l1": 0.2, "ssim": 0.55}]
    _train(tmp_path, trainer, 6, *found, choice=Choice("ssim", higher=True))
    facts = load_checkpoint(tmp_path / "checkpoints").facts
    assert pointed(tmp_path / "checkpoints", "best") == facts["best"] == 4
    assert facts["best_measured"] == {"ssim": 0.6} and facts["best_l1"] is None


def test_an_error_that_is_not_a_number_is_never_the_best_value():
    best = Best(BY_ERROR, {})
    assert not best.improved_by({"to b": {"l1": float("nan")}})
    best.note(2, {"to b": {"l1": 0.5, "error/HU": 12.0}})
    assert not best.improved_by({"to b": {"l1": float("nan")}}) and best.improved_by({"to b": {"l1": 0.4}})
    assert best.measured == {"l1": 0.5, "error/HU": 12.0}


def _stops_early(recipe, folder):
    data = paired_folder(folder / "data")
    return [
        "train",
        recipe,
        "--data",
        data,
        "--out",
        "run",
        "--device",
        "cpu",
        "training.validate_every=1",
        "training.steps=9",
    ]


@pytest.fixture
def no_better(monkeypatch):
    """A validation that never finds anything better than at first."""
    monkeypatch.setattr("translate.training.best.Choice.better", lambda choice, value, before: before is None)


def test_a_run_that_stopped_early_ended_well_and_says_how_to_go_on(run_cli, tiny_recipe, tmp_path, no_better):
    words = _stops_early(tiny_recipe("pix2pix"), tmp_path)
    result = run_cli(*words, "training.patience=2", "training.best_by=ssim")
    assert result.exit_code == 0, result.output
    assert "best so far: ssim " in result.output and "after step 1\n" in result.output
    assert "stopped early after step 3, as 2 validations in a row were not better" in result.output
    facts = load_checkpoint(tmp_path / "run" / "checkpoints").facts
    assert (facts["step"], facts["best"], facts["stopped_early"]) == (3, 1, True)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<dt>best step</dt><dd>1 (ssim " in page and "<dt>stopped</dt><dd>early</dd>" in page
    shown = run_cli("compare", "run").stdout
    assert "3 of 9, stopped early" in shown and "1 (ssim " in shown
    again = run_cli(*words, "training.patience=2", "training.best_by=ssim", "--resume")
    assert again.exit_code == 0 and "stopped early after step 3" in again.output
    assert load_checkpoint(tmp_path / "run" / "checkpoints").facts["step"] == 3


@pytest.mark.parametrize("setting", ["training.best_by=l2", "training.best_by=change"])
def test_a_measure_that_nothing_is_validated_by_is_refused_before_anything_is_written(
    run_cli, tiny_recipe, tmp_path, setting
):
    words = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "data"), "--out", "run"]
    result = run_cli(*words, setting)
    assert result.exit_code == 2 and "no measure" in result.output and not (tmp_path / "run").exists()


def test_trackers_learn_the_best_step_and_its_value(tmp_path):
    class Noting(Tracker):
        def __init__(self):
            self.noted = {}

        def summary(self, values):
            self.noted |= values

    tracker = Noting()
    _train(tmp_path, tiny_trainer(tiny_model("pix2pix")), 6, 0.3, 0.2, 0.25, tracker=tracker)
    assert tracker.noted == {"best/step": 4, "best/l1": 0.2}


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


def test_without_truth_the_patch_distance_chooses_the_best_step_and_ends_the_run(
    run_cli, tiny_recipe, tmp_path, no_better
):
    words = ["train", tiny_recipe("cyclegan"), "--data", unpaired_folder(tmp_path / "data"), "--out", "run"]
    words += ["--device", "cpu", "training.validate_every=1", "training.steps=9", "training.patience=2"]
    result = run_cli(*words)
    assert result.exit_code == 0, result.output
    assert "best so far: patch distance " in result.output and "stopped early after step 3" in result.output
    facts = load_checkpoint(tmp_path / "run" / "checkpoints").facts
    assert pointed(tmp_path / "run" / "checkpoints", "best") == facts["best"] == 1
    values = [found["patch_distance"] for found in facts["validation"].values()]
    assert len(values) == 2 and facts["best_measured"].keys() == {"patch_distance"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<dt>best step</dt><dd>1 (patch distance " in page and "beside 2 of the target" in page
    assert "1 (patch distance " in run_cli("compare", "run").stdout
    assert run_cli(*words, "--resume", "training.patience=null", "training.best_by=psnr").exit_code == 2


@pytest.mark.parametrize("method", ["cyclegan", "unit"])
def test_measuring_without_truth_changes_no_step(run_cli, tiny_recipe, tmp_path, method):
    """`unit` draws random numbers whenever it translates."""
    data, saved = unpaired_folder(tmp_path / "data"), []
    for every in (1, 4):
        words = ["train", tiny_recipe(method), "--data", data, "--out", f"every{every}", "--device", "cpu"]
        result = run_cli(*words, f"training.validate_every={every}", "training.checkpoint_every=4")
        assert result.exit_code == 0, result.output
        saved.append(load_checkpoint(tmp_path / f"every{every}" / "checkpoints"))
    assert saved[0].facts["validation"] == saved[1].facts["validation"]
    one, other = (checkpoint.tensors("model") for checkpoint in saved)
    assert all(torch.equal(one[key], other[key]) for key in one)
