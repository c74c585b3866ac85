"""A turn whose numbers are not finite moves nothing; and no step makes the host wait for the device."""

import json
import math

import pytest
import torch
from tiny import CPU, random_batch, tiny_model, tiny_trainer, unpaired_folder
from torch import Tensor, nn

from translate.data.batch import Paired
from translate.losses.image_pool import ImagePool
from translate.models import MODELS
from translate.models.base import ImageSpec, Model, Turn
from translate.training.checkpoint import load_checkpoint
from translate.training.loss_meter import LossMeter, Skips
from translate.training.non_finite import step_and_undo
from translate.training.optim import WeightAverage, build_optimizer
from translate.training.runtime import Runtime
from translate.training.state import network_weights, training_state
from translate.training.trainer import Trainer
from translate.utils.settings import Settings

KINDS = {"fused adam": ("adam", True), "adam": ("adam", False), "rmsprop": ("rmsprop", False)}


class Pair(Model):
    """Two players without dice, each to be spoilt at the steps in `spoilt`."""

    Config = Settings
    batch_type = Paired

    def __init__(self, spoilt=(), value=math.nan, where="loss"):
        super().__init__(Settings(), ImageSpec(1, 8, ("a", "b")))
        torch.manual_seed(0)
        self.judge, self.generator = nn.Linear(3, 1), nn.Linear(3, 3)
        self.spoilt, self.value, self.where = spoilt, value, where
        self.taken = 0

    def generate(self, batch):
        return {"fake": self.generator(batch.input)}

    def turns(self):
        return [
            Turn("judge", [self.judge], self._judge),
            Turn("painter", [self.generator], self._painter, trains_generators=True),
        ]

    def _judge(self, batch, fakes):
        self.taken += 1
        scores = self.judge(fakes["fake"])
        if self.taken in self.spoilt and self.where == "gradient":
            scores.register_hook(lambda gradient: gradient * self.value)
        loss = scores.square().mean() - self.judge(batch.target).mean()
        if self.taken in self.spoilt and self.where == "loss":
            loss = loss * self.value
        return {"score": loss}

    def _painter(self, batch, fakes):
        return {"judged": -self.judge(fakes["fake"]).mean(), "near": (fakes["fake"] - batch.target).square().mean()}

    def show(self, batch):
        return {}


def pair_trainer(kind="fused adam", clip=0.0, **spoilt):
    name, fused = KINDS[kind]
    model = Pair(**spoilt)
    model.train()
    optimizers = {
        key: build_optimizer(net, name, 0.1, (0.5, 0.9), 0.01, clip, fused=fused) for key, net in model.named_children()
    }
    return Trainer(model, optimizers, CPU, average=WeightAverage({"painter": model.generator}, 0.9))


def batch_of(step):
    generator = torch.Generator().manual_seed(step)
    return Paired(torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator))


def everything(trainer):
    """All that moves, but for what is counted."""
    state = {key: value for key, value in training_state(trainer).items() if key.startswith(("optimizer/", "average/"))}
    return {**network_weights(trainer), **trainer.average.values, **state}


def assert_equal(mine, theirs):
    assert mine.keys() == theirs.keys()
    different = [key for key in mine if not torch.equal(mine[key], theirs[key])]
    assert not different


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [1, 3])
@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_a_spoilt_turn_leaves_the_run_as_if_it_had_not_been_taken(kind, where, value, bad, clip):
    spoilt, without = pair_trainer(kind, clip, spoilt=(bad,), where=where, value=value), pair_trainer(kind, clip)
    for step in range(1, 6):
        spoilt.step(batch_of(step))
        turns = without._turns
        without._turns = [turn for turn in turns if turn.name != "judge"] if step == bad else turns
        without.step(batch_of(step))
        without._turns = turns
        if (step, bad) != (1, 1):  # there the other has no state yet, where this one's is zeros
            assert_equal(everything(spoilt), everything(without))
    assert spoilt.read_skips() == {"judge": Skips(1, 0), "painter": Skips(0, 0)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_is_undone_leaves_weights_and_state(kind):
    """As on a GPU for what is not fused."""
    name, fused = KINDS[kind]
    torch.manual_seed(0)
    network, other = nn.Linear(3, 1), nn.Linear(3, 1)
    other.load_state_dict(network.state_dict())
    mine, theirs = (build_optimizer(net, name, 0.1, (0.5, 0.9), 0.01, fused=fused) for net in (network, other))
    for step, bad in enumerate([1.0, 0.0, 0.0, 1.0, 0.0]):
        gradient = torch.full((1, 3), math.nan if bad else step + 1.0)
        for net in (network, other):
            net.weight.grad, net.bias.grad = gradient, gradient.sum(1)
        step_and_undo(torch.tensor(bad), mine)
        if not bad:
            theirs.step()
            assert_equal(network.state_dict(), other.state_dict())
            for ours, known in zip(mine.state.values(), theirs.state.values(), strict=True):
                assert_equal(ours, known)
        assert network.weight.isfinite().all()


def test_skips_are_counted_in_all_and_in_a_row():
    trainer = pair_trainer(spoilt=(2, 4, 5, 6))
    seen = []
    for step in range(1, 8):
        trainer.step(batch_of(step))
        seen.append(trainer.read_skips()["judge"])
    assert seen == [Skips(*pair) for pair in [(0, 0), (1, 1), (1, 0), (2, 1), (3, 2), (4, 3), (4, 0)]]


def test_means_are_of_the_finite_losses():
    spoilt, whole = pair_trainer(spoilt=(2,)), pair_trainer()
    for step in (1, 2):
        spoilt.step(batch_of(step))
    whole.step(batch_of(1))
    assert spoilt.read_losses()["judge/score"] == whole.read_losses()["judge/score"]
    spoilt.step(batch_of(3))
    assert math.isfinite(spoilt.read_losses()["judge/score"])


def test_a_loss_that_was_never_finite_has_no_mean():
    trainer = pair_trainer(spoilt=(1, 2))
    for step in (1, 2):
        trainer.step(batch_of(step))
    assert "judge/score" not in trainer.read_losses()


def test_a_turns_losses_keep_their_names():
    trainer = pair_trainer()
    trainer.step(batch_of(1))
    with pytest.raises(ValueError, match="turn 'judge' has the losses"):
        trainer.loss_meters["judge"].add({"other": torch.ones(())})


def test_the_average_stands_still_where_its_generator_was_skipped():
    trainer = pair_trainer()
    trainer.step(batch_of(1))
    before = {key: value.clone() for key, value in trainer.average.values.items()}
    trainer.step(batch_of(2).map(lambda values: values * math.nan))
    assert trainer.average.updates == 1
    assert_equal(trainer.average.values, before)


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_that_is_not_finite_moves_nothing_of_a_model(name):
    trainer = tiny_trainer(tiny_model(name))
    model, pace = trainer.model, max(turn.every for turn in trainer.model.turns())
    for step in range(pace):
        trainer.step(random_batch(model, seed=step))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    moments = {key: value.clone() for key, value in training_state(trainer).items() if key.startswith("optimizer/")}
    for step in range(pace):
        batch = random_batch(model, seed=step)
        trainer.step(batch.map(lambda values: values * math.nan if values.dim() == 4 else values))
    assert all(value.isfinite().all() for value in model.state_dict().values())
    skipped = {turn for turn, skips in trainer.read_skips().items() if skips.ever}
    assert skipped
    if len(skipped) == len(trainer.loss_meters):  # a generator that is fed noise may learn from a finite opinion
        learnt = [key for key, _ in model.named_parameters()]
        assert_equal({key: model.state_dict()[key] for key in learnt}, {key: before[key] for key in learnt})
        now = {key: value for key, value in training_state(trainer).items() if key.startswith("optimizer/")}
        assert_equal(now, moments)
    trainer.step(random_batch(model, seed=9))
    assert all(math.isfinite(value) for value in trainer.read_losses().values())


def test_running_statistics_stay_finite_and_go_on():
    model = tiny_model("pix2pix")
    trainer = tiny_trainer(model)
    trainer.step(random_batch(model))
    statistics = {key: value.clone() for key, value in model.state_dict().items() if "running" in key}
    assert statistics
    trainer.step(random_batch(model).map(lambda values: values * math.nan))
    assert_equal({key: model.state_dict()[key] for key in statistics}, statistics)
    trainer.step(random_batch(model, seed=1))
    assert all(not torch.equal(model.state_dict()[key], value) for key, value in statistics.items())


def test_a_pool_takes_no_image_in_that_is_not_finite():
    torch.manual_seed(0)
    pool = ImagePool(3, 1, 2)
    good, bad = torch.ones(1, 1, 2, 2), torch.tensor([[[[1.0, math.nan], [1.0, 1.0]]]])
    assert pool.exchange(bad).isnan().any() and pool.stored == 0
    for _ in range(3):
        pool.exchange(good)
    for _ in range(50):
        pool.exchange(bad)
        assert pool.images.isfinite().all() and pool.stored == 3


@pytest.fixture
def diverging(run_cli, tiny_recipe, tmp_path):
    """Trains a tiny CycleGAN with a learning rate that is far too high."""

    def train(lr, **settings):
        data = unpaired_folder(tmp_path / "data")
        given = {"lr": lr, "steps": 20, "log_every": 1} | settings
        options = [part for key, value in given.items() for part in ("--set", f"training.{key}={value}")]
        where = ["--data", data, "--out", tmp_path / "run", "--wandb", "disabled"]
        return run_cli("train", tiny_recipe("cyclegan"), *where, *options), tmp_path / "run"

    return train


def test_a_run_that_diverges_stops_with_the_last_good_checkpoint(diverging):
    result, run = diverging("1e30", skip_limit=3)
    assert result.exit_code == 1
    assert "was skipped 3 times in a row" in result.output
    assert str(run / "checkpoints" / "step-0000000") in result.output
    checkpoint = load_checkpoint(run / "checkpoints", "latest")
    assert all(value.isfinite().all() for value in checkpoint.tensors("model").values())
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert max(row.get("skipped_steps/generators", 0) for row in rows) == 3


def test_weights_that_are_not_finite_are_not_saved(diverging):
    result, run = diverging("1e39")  # beyond float32: the first step itself is not finite
    assert result.exit_code == 1
    assert "weights are not finite; no checkpoint had been saved yet" in result.output
    assert not list((run / "checkpoints").glob("step-*"))


SYNCHRONISING = ("item", "cpu", "tolist", "numpy", "nonzero", "__bool__", "__float__", "__int__", "__index__")


@pytest.mark.parametrize("name", MODELS)
def test_no_step_makes_the_host_wait(name, monkeypatch):
    model = tiny_model(name)
    generators = {id(net) for turn in model.turns() if turn.trains_generators for net in turn.networks}
    average = WeightAverage({key: net for key, net in model.named_children() if id(net) in generators}, 0.9)
    trainer = tiny_trainer(model, average=average)
    pace = max(turn.every for turn in model.turns())
    calls = []
    for method in SYNCHRONISING:
        real = getattr(Tensor, method)
        monkeypatch.setattr(
            Tensor, method, lambda *a, real=real, method=method, **k: calls.append(method) or real(*a, **k)
        )
    for step in range(2 * pace):
        trainer.step(random_batch(model, seed=step))
    assert not calls
    trainer.read_losses()
    assert "tolist" in calls, "what is read when it is logged does wait"


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_no_step_makes_the_host_wait_for_cuda(name):
    runtime = Runtime(torch.device("cuda"), bf16=True, channels_last=True)
    model = tiny_model(name)
    runtime.adopt(model)
    optimizers = {
        key: build_optimizer(network, "adam", 1e-3, (0.5, 0.999), 0.0)
        for key, network in model.named_children()
        if any(network is moved for turn in model.turns() for moved in turn.networks)
    }
    trainer = Trainer(model.train(), optimizers, runtime)
    pace = max(turn.every for turn in model.turns())
    batches = [runtime.place(random_batch(model, seed=step)) for step in range(3 * pace)]
    for number, batch in enumerate(batches):
        torch.cuda.set_sync_debug_mode("error" if number >= pace else "default")
        try:
            trainer.step(batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_losses_go_on_in_the_turns_order_whatever_that_of_the_file():
    before, after = (LossMeter("g", torch.device("cpu")) for _ in range(2))
    before.add({"b": torch.tensor(1.0), "a": torch.tensor(10.0)})
    after.restore(dict(sorted(before.state().items())))
    after.add({"b": torch.tensor(3.0), "a": torch.tensor(30.0)})
    assert after.read() == {"g/b": 2.0, "g/a": 20.0}
