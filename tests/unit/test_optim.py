"""Curves, averages and optimizers in closed form, and a recipe's training settings where they act."""

import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from tiny import CPU, paired_folder, random_batch, tiny_model, tiny_trainer
from torch import nn

from translate.errors import ConfigurationError
from translate.recipe import TrainingSettings, load_recipe
from translate.reporting.tracking import read_metrics
from translate.runs.build import build_trainer
from translate.training.optim import WeightAverage, build_optimizer, weights_of
from translate.training.schedules import SCHEDULES, ScheduleSettings
from translate.training.state import training_state
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
    anew = curve_of("cosine", 30, decay_from=0.4, cycles=3)
    assert [anew(step) for step in range(30)] == [curve(step) for step in range(10)] * 3


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_is_torchs_and_the_schedule_spans_the_other_steps(schedule):
    settings = {"decay_from": 0.25, "halve_every": 3}
    curve, others = curve_of(schedule, 14, warmup=4, **settings), curve_of(schedule, 10, **settings)
    warming = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    linear = torch.optim.lr_scheduler.LinearLR(warming, start_factor=1 / 4, total_iters=3)
    theirs = []
    for _ in range(4):
        theirs += linear.get_last_lr()
        warming.step()
        linear.step()
    assert [curve(step) for step in range(4)] == pytest.approx(theirs) == [0.25, 0.5, 0.75, 1]
    assert [curve(4 + step) for step in range(10)] == [others(step) for step in range(10)]
    assert [curve_of(schedule, 2, warmup=8)(step) for step in range(2)] == [1 / 8, 2 / 8], "a run that never gets there"


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


def test_networks_are_averaged_each_with_its_decay():
    networks = {name: nn.Linear(1, 1) for name in ("slow", "fast")}
    networks["fast"].load_state_dict(networks["slow"].state_dict())
    decays = {"slow": 0.9, "fast": 0.2}
    together = WeightAverage(networks, decays)
    alone = [WeightAverage({name: networks[name]}, decays[name]) for name in networks]
    for number in range(5):
        with torch.no_grad():
            for network in networks.values():
                network.weight.fill_(math.sin(number))
        for average in (together, *alone):
            average.update()
    assert together.values == alone[0].values | alone[1].values
    assert together.values["slow.weight"] != together.values["fast.weight"]


def test_an_average_has_the_running_statistics_averaged_and_their_count_as_it_is():
    norm = nn.BatchNorm1d(2)
    average = WeightAverage({"norm": norm}, 0.5)
    for _ in range(3):
        norm(torch.randn(4, 2) + 5)
        average.update()
    assert average.values["norm.num_batches_tracked"] == 3
    assert (average.values["norm.running_mean"] < norm.running_mean).all()
    assert (average.values["norm.running_mean"] > 0).all()


@pytest.mark.parametrize(
    ("kind", "theirs"), [("rmsprop", torch.optim.RMSprop), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_an_optimizer_is_torchs_of_that_name_with_all_that_the_recipe_says(kind, theirs, decay):
    ours, exact = nn.Linear(3, 2), nn.Linear(3, 2)
    exact.load_state_dict(ours.state_dict())
    betas = {} if kind == "rmsprop" else {"betas": (0.3, 0.8)}
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


def test_one_network_is_trained_as_it_says_and_the_others_as_all():
    own = {"optimizer": "rmsprop", "lr": 0.5, "weight_decay": 0.1, "clip": 2.0}
    networks = {"discriminator_a": own, "generator_a": {"betas": (0.0, 0.9), "clip": 0.0, "ema": 0.0}}
    trainer = _trainer(
        lr=0.1, network_lr={"generator_b": 0.2}, networks=networks, clip=1.0, ema=0.9, schedule="constant"
    )
    kinds = {
        name: "adam" if isinstance(each, torch.optim.Adam) else "rmsprop" for name, each in trainer.optimizers.items()
    }
    assert kinds == dict.fromkeys(trainer.optimizers, "adam") | {"discriminator_a": "rmsprop"}
    assert trainer.learning_rates() == {
        "generator_a": 0.1,
        "generator_b": 0.2,
        "discriminator_a": 0.5,
        "discriminator_b": 0.1,
    }
    groups = {name: each.param_groups[0] for name, each in trainer.optimizers.items()}
    clips = {"generator_a": 0, "generator_b": 1, "discriminator_a": 2, "discriminator_b": 1}
    assert {name: group["clip"] for name, group in groups.items()} == clips
    assert {name: group["weight_decay"] for name, group in groups.items()} == dict.fromkeys(groups, 0.0) | {
        "discriminator_a": 0.1
    }
    assert [groups[name]["betas"] for name in ("generator_a", "generator_b")] == [(0.0, 0.9), (0.5, 0.999)]
    assert {key.split(".")[0] for key in trainer.average.values} == {"generator_b"}


def norms_taken(trainer):
    """The norm of the gradient that each network's optimizer takes, by name, once it has."""
    norms = {}

    def note(optimizer, *arguments):
        name = next(name for name, known in trainer.optimizers.items() if known is optimizer)
        norms[name] = nn.utils.get_total_norm([weight.grad for weight in weights_of(optimizer)]).item()

    for optimizer in trainer.optimizers.values():
        optimizer.register_step_pre_hook(note)
    return norms


@pytest.mark.parametrize("bf16", [False, True])
def test_each_network_is_moved_by_a_gradient_of_its_clip(bf16):
    training = TrainingSettings(
        steps=1,
        batch_size=4,
        accumulate=2,
        clip=1e-3,
        networks={"generator_a": {"clip": 1e-4}, "generator_b": {"clip": 1e9}},
    )
    trainer = build_trainer(tiny_model("cyclegan"), training, replace(CPU, bf16=bf16), 1)
    norms = norms_taken(trainer)
    trainer.step(random_batch(trainer.model, 4))
    assert norms.pop("generator_b") > 1e-2, "shorter than its own, and left as it is"
    assert norms == pytest.approx({"generator_a": 1e-4, "discriminator_a": 1e-3, "discriminator_b": 1e-3}, rel=1e-2)


@pytest.mark.parametrize("every", [1, 2])
def test_the_norm_of_a_gradient_is_read_as_it_was_before_it_was_clipped(every):
    """In the first step a clip changes no other network's gradient, and a turn that is not due has none."""
    free, clipped = (tiny_trainer(tiny_model("cyclegan"), clip=clip) for clip in (0.0, 1e-3))
    norms = norms_taken(free)
    for trainer in (free, clipped):
        trainer._turns = [replace(trainer._turns[0], every=every), *trainer._turns[1:]]
        trainer.step(random_batch(trainer.model, 4))
    assert clipped.read_norms() == pytest.approx({f"gradient_norm/{name}": norm for name, norm in norms.items()})
    assert len(norms) == 4 // every and min(norms.values()) > 1e-3
    assert clipped.read_norms() == free.read_norms() == {}
    assert not [key for key in training_state(free) if "gradient_norm" in key]


def test_a_run_that_clips_logs_the_norms_beside_the_rates(run_cli, tiny_recipe, tmp_path):
    arguments = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "data"), "--out", "run"]
    settings = ["training.networks={generator: {clip: 0.5}}", "training.log_every=1", "training.steps=2"]
    assert run_cli(*arguments, *settings).exit_code == 0
    rows = [row for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "learning_rate/generator" in row]
    assert len(rows) == 2 and all(row["gradient_norm/generator"] > 0 for row in rows)
    assert not any("gradient_norm/discriminator" in row for row in rows)


def test_a_generator_may_be_averaged_alone():
    average = _trainer(networks={"generator_b": {"ema": 0.9}}).average
    assert {key.split(".")[0] for key in average.values} == {"generator_b"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"network_lr": {"a": 1.0}, "networks": {"a": {"lr": 1.0}}},
            r"networks\.a\.lr and network_lr\.a are two rates",
        ),
        ({"networks": {"a": {"betas": (0.0, 0.9), "optimizer": "rmsprop"}}}, r"networks\.a\.betas has no effect"),
        ({"networks": {"a": {"betas": (0.0, 0.9)}}, "optimizer": "rmsprop"}, r"networks\.a\.betas has no effect"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(settings, reason):
    with pytest.raises(ValidationError, match=reason):
        TrainingSettings(steps=1, **settings)


def test_betas_that_no_optimizer_takes_are_refused_where_a_run_begins(run_cli, tiny_recipe, tmp_path, monkeypatch):
    arguments = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "data"), "--out", "run"]
    idle = ["training.optimizer=rmsprop", "training.betas=[0,0.9]", "training.steps=1"]
    for more in ([], ["--dry-run"]):
        refused = run_cli(*arguments, *idle, *more)
        assert refused.exit_code == 2 and "training.betas: no effect, for only adam has them" in refused.stderr
    one_adam = "training.networks={discriminator: {optimizer: adam}}"
    assert run_cli(*arguments, *idle, one_adam, "--dry-run").exit_code == 0
    assert load_recipe("wgan").training.refuse_idle() is None, "has the default, as every recipe does"
    with monkeypatch.context() as earlier:
        earlier.setattr(TrainingSettings, "refuse_idle", lambda settings: None)
        assert run_cli(*arguments, *idle).exit_code == 0
    assert run_cli("convert", "run", tmp_path / "data" / "testA", "out").exit_code == 0
    assert run_cli(*arguments, *idle[:2], "training.steps=2", "--resume").exit_code == 0


@pytest.mark.parametrize(
    ("networks", "reason"),
    [
        ({"generator": {"lr": 1.0}}, "training.networks: no network 'generator'; did you mean 'generator_[ab]'"),
        (
            {"discriminator_a": {"ema": 0.9}},
            "discriminator_a.ema: only generators are averaged .generator_a, generator_b",
        ),
    ],
)
def test_networks_that_are_not_there_or_not_averaged_are_refused_by_name(networks, reason):
    with pytest.raises(ConfigurationError, match=reason):
        _trainer(networks=networks)


def test_a_recipes_seed_and_parts_are_the_trainers():
    trainer = _trainer(seed=7, accumulate=2, batch_size=4)
    assert (trainer.seed, trainer.accumulate) == (7, 2)
    assert trainer.model.training
