"""Curves, averages and optimizers in closed form, and a recipe's training settings where they act."""

import math

import pytest
import torch
from tiny import CPU, paired_folder, tiny_model
from torch import nn

from translate.recipe import TrainingSettings
from translate.reporting.tracking import read_metrics
from translate.runs.build import build_trainer
from translate.training.optim import WeightAverage, build_optimizer
from translate.training.schedules import SCHEDULES, ScheduleSettings
from translate.utils.shipped import shipped


def curve_of(schedule, steps, **settings):
    return ScheduleSettings(schedule=schedule, **settings).curve(steps)


def told(recipe):
    """What a shipped recipe's file says, comments and all."""
    return (shipped("recipes") / f"{recipe}.yaml").read_text("utf-8")


def test_cosine_falls_along_half_a_cosine_that_would_end_one_step_after_the_last():
    curve = curve_of("cosine", 10, decay_from=0.4)
    assert [curve(step) for step in range(4)] == [1] * 4
    wanted = [(1 + math.cos(math.pi * fallen / 7)) / 2 for fallen in range(1, 8)]
    assert [curve(step) for step in range(4, 11)] == pytest.approx(wanted)
    assert wanted[-1] == 0 and curve(9) > 0


def test_halving_halves_after_every_so_many_steps():
    curve = curve_of("halving", 9, halve_every=3)
    assert [curve(step) for step in range(9)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_a_schedule_is_one_entry_and_recipes_train_with_it(run_cli, tiny_recipe, tmp_path, monkeypatch):
    """It may use the settings of the others; one of its own is a field beside them."""
    steep = lambda settings, steps: lambda step: settings.decay_from ** (step / steps)  # noqa: E731
    arguments = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "data"), "--out", "run"]
    settings = ["training.schedule=steep", "training.decay_from=0.25", "training.log_every=1", "training.steps=2"]
    refused = run_cli(*arguments, *settings)
    assert refused.exit_code == 2 and "expected constant, linear, cosine, halving, got" in refused.stderr
    monkeypatch.setitem(SCHEDULES, "steep", steep)
    assert run_cli(*arguments, *settings).exit_code == 0
    rates = [row.get("learning_rate/generator") for row in read_metrics(tmp_path / "run" / "metrics.jsonl")]
    assert [rate for rate in rates if rate] == pytest.approx([2e-4, 1e-4])


def test_the_linear_decay_is_as_near_to_the_ports_as_the_recipe_says():
    """There the rate follows the epoch, which the scheduler has counted before it begins, over 101 epochs."""
    epochs, steps = 200, 1334  # as of horse2zebra
    ours = curve_of("linear", epochs * steps, decay_from=0.5)
    mine = [ours(step) for step in range(epochs * steps)]
    theirs = [1 - max(0, epoch + 1 - 100) / 101 for epoch in range(1, epochs + 1) for _ in range(steps)]
    assert theirs[98 * steps] == 1 > theirs[99 * steps] and theirs[-steps] == theirs[-1] == 0 < mine[-1]
    assert max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) == pytest.approx(0.0198, abs=5e-5)
    assert (sum(mine) / len(mine), sum(theirs) / len(theirs)) == pytest.approx((0.750, 0.745), abs=5e-4)
    assert all(figure in told("cyclegan") for figure in ("0.0198", "0.750", "0.745"))


def test_the_released_stargans_rate_ends_where_the_recipe_says():
    rate = 1.0
    for step in range(1, 200_001):
        if step % 1000 == 0 and step > 100_000:
            rate -= 1 / 100_000
    assert rate == pytest.approx(0.999, abs=1e-9)
    assert "ends at 0.999 of it" in told("stargan-as-released")


def test_the_released_units_rate_halves_one_step_earlier():
    scheduled = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    halving = torch.optim.lr_scheduler.StepLR(scheduled, step_size=5, gamma=0.5)
    theirs = []
    for _ in range(15):
        scheduled.step()  # of the step before
        halving.step()
        theirs.append(scheduled.param_groups[0]["lr"])
    ours = curve_of("halving", 16, halve_every=5)
    assert theirs == [ours(step + 1) for step in range(15)]
    assert "halves one step of the 100000 earlier" in told("unit")


def test_an_average_forgets_its_first_weights_soon_and_no_faster_than_its_decay_in_the_end():
    network = nn.Linear(1, 1).double()
    average = WeightAverage({"net": network}, 0.9)
    expected = network.weight.item()
    for number in range(1, 201):
        with torch.no_grad():
            network.weight.fill_(math.sin(number))
        average.update()
        decay = min(0.9, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * math.sin(number)
        assert average.values["net.weight"].item() == pytest.approx(expected, abs=1e-6)


def test_an_average_has_the_running_statistics_averaged_and_their_count_as_it_is():
    norm = nn.BatchNorm1d(2)
    average = WeightAverage({"norm": norm}, 0.5)
    for _ in range(3):
        norm(torch.randn(4, 2) + 5)
        average.update()
    assert average.values["norm.num_batches_tracked"] == 3
    assert (average.values["norm.running_mean"] < norm.running_mean).all()
    assert (average.values["norm.running_mean"] > 0).all()


@pytest.mark.parametrize(("kind", "theirs"), [("rmsprop", torch.optim.RMSprop), ("adam", torch.optim.Adam)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_an_optimizer_is_torchs_of_that_name_with_all_that_the_recipe_says(kind, theirs, decay):
    ours, exact = nn.Linear(3, 2), nn.Linear(3, 2)
    exact.load_state_dict(ours.state_dict())
    betas = {"betas": (0.3, 0.8)} if kind == "adam" else {}
    pair = [
        (ours, build_optimizer(ours, kind, 0.01, (0.3, 0.8), decay)),
        (exact, theirs(exact.parameters(), lr=0.01, weight_decay=decay, **betas)),
    ]
    for step in range(5):
        images = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        for network, optimizer in pair:
            optimizer.zero_grad()
            network(images).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, exact.weight, rtol=1e-5, atol=1e-6)


def _trainer(total=100, **settings):
    return build_trainer(tiny_model("cyclegan"), TrainingSettings(steps=total, **settings), CPU, total)


def test_a_recipes_rates_and_schedules_are_the_trainers():
    rates = _trainer(lr=0.1, network_lr={"discriminator_a": 0.4}, schedule="constant").learning_rates()
    assert rates == {"generator_a": 0.1, "generator_b": 0.1, "discriminator_a": 0.4, "discriminator_b": 0.1}
    linear, halving = _trainer(decay_from=0.2), _trainer(schedule="halving", halve_every=10)
    assert [linear.curve(step) < 1 for step in (19, 20)] == [False, True]
    assert [halving.curve(step) for step in (9, 10, 20)] == [1, 0.5, 0.25]


def test_a_recipes_average_is_of_the_generators():
    average = _trainer(ema=0.9).average
    assert {key.split(".")[0] for key in average.values} == {"generator_a", "generator_b"}
    assert _trainer().average is None


def test_a_recipes_seed_and_parts_are_the_trainers():
    trainer = _trainer(seed=7, accumulate=2, batch_size=4)
    assert (trainer.seed, trainer.accumulate) == (7, 2)
    assert trainer.model.training
