"""The advice of messages about many runs, their best steps, folds and sweeps, followed. See `ways_out.py`."""

from __future__ import annotations

import pytest
from ways_out import User, command_in, settings_in, taken, tried, ways_of


@tried(("runs/best_by", "goes on to the last step"), ("runs/best_by", "validations in a row were not better than"))
def a_run_that_stopped_early(user: User) -> None:
    user.monkeypatch.setattr("translate.training.best.Choice.better", lambda *_: False)
    data = user.data("paired")
    text = user.gets(*user.train(user.recipe("pix2pix"), "--out", "run", data=data), "training.patience=1")
    text = user.gets(*command_in(text, "train"), "--device", "cpu")
    assert "stopped early" not in text and "4 of 4\n" in user.gets("compare", "run")


@tried(
    ("runs/best_by", "no true translations of its test images are known"),
    ("runs/best_by", "needs a measure to wait for; set training.best_by"),
)
def patience_without_a_measure(user: User) -> None:
    words = user.train(user.recipe("cyclegan"), "--out", "run", data=user.data())
    text = user.refused(*words, "training.patience=2")
    assert settings_in(text, "cyclegan") == [taken(text, r"(training\.patience): nothing is validated")]
    user.gets(*words)
    user.data("labelled")
    words = user.train(user.recipe("vae"), "--out", "another", "training.patience=2", data="labelled")
    text = user.refused(*words)
    (setting, *_) = [key for key in settings_in(text, "vae") if key != "training.patience"]
    user.gets(*words, f"{setting}=" + taken(text, r"to one of (\w+)"))


@tried(("runs/best_by", "training.best_by: of '{}' neither higher nor lower is better"))
def a_best_measure_without_a_direction(user: User) -> None:
    user.monkeypatch.setattr("translate.evaluation.metrics.MEASURES", {"l1": _change(), "ssim": _ssim()})
    words = user.train(user.recipe("pix2pix"), "--out", "run", data=user.data("paired"))
    assert "choose another" in user.refused(*words, "training.best_by=l1")
    user.gets(*words, "training.best_by=ssim")


def _change() -> object:
    from translate.evaluation.metrics import Measure, absolute_error

    return Measure("change", absolute_error)


def _ssim() -> object:
    from translate.evaluation.metrics import MEASURES

    return MEASURES["ssim"]


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
