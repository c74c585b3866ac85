"""A run killed at any moment and resumed equals one that was never stopped, to the bit."""

from __future__ import annotations

import pytest
from child import STEPS, Workplace, hashes, kill_at_backward
from kill_matrix import MODELS, mid_run, tried

QUICK = ("pix2pix", "cyclegan")


@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MODELS]
)
def test_kill9_mid_epoch_resumes_to_the_same_bits(place: Workplace, model: str) -> None:
    recipe = place.recipe(model)
    assert place.train(recipe, "whole").code == 0
    whole = hashes(place.folder / "whole")
    first, then = (0, 2) if model in ("pix2pix", "stargan") else (2, 0)
    killed = place.train(recipe, "run", "--set", f"data.workers={first}", hook=kill_at_backward(mid_run(model)))
    assert killed.code == -9, killed.err
    resumed = place.train(recipe, "run", "--resume", "--set", f"data.workers={then}")
    assert resumed.code == 0 and "resuming after step" in resumed.err, resumed.err
    assert hashes(place.folder / "run") == whole


def test_resuming_a_finished_run_says_so_and_changes_nothing(place: Workplace, trained, undisturbed) -> None:
    again = place.train("pix2pix.yaml", "run", "--resume")
    assert again.code == 0 and f"already trained for {STEPS} steps" in again.err
    assert hashes(trained) == hashes(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("model", MODELS)
def test_kill9_mid_epoch_three_times_in_one_run(place: Workplace, model: str, workers: int) -> None:
    whole, disturbed = tried(place, model, workers)
    assert disturbed == whole
