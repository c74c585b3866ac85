"""The trainer on models made to show one thing each."""

from collections import Counter
from itertools import pairwise

import pytest
import torch
from tiny import CPU, VIT, random_batch, tiny_model, tiny_trainer
from torch import nn

from translate.data.batch import Paired
from translate.losses.image_pool import ImagePool
from translate.models import MODELS
from translate.models.base import ImageSpec, Model, Turn
from translate.training.optim import WeightAverage, build_optimizer
from translate.training.schedules import SCHEDULES, ScheduleSettings
from translate.training.state import network_weights, restore, training_state
from translate.training.trainer import Trainer, step_seed
from translate.utils.settings import Settings


class Toy(Model):
    """Two scalars: `critic` is taken every step, `generator` every third."""

    Config = Settings
    batch_type = Paired

    def __init__(self):
        super().__init__(Settings(), ImageSpec(1, 8, ("a", "b")))
        self.critic, self.generator = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        self.seen = []
        self.clipped = 0

    def generate(self, batch):
        return {"fake": self.generator(batch.input)}

    def turns(self):
        return [
            Turn("critic", [self.critic], self._critic, after_step=self._clip),
            Turn("generator", [self.generator], self._generator_losses, trains_generators=True, every=3),
        ]

    def _critic(self, batch, fakes):
        self.seen.append(("critic", fakes["fake"].requires_grad))
        return {"loss": self.critic(fakes["fake"]).mean()}

    def _generator_losses(self, batch, fakes):
        self.seen.append(("generator", fakes["fake"].requires_grad))
        return {"loss": self.critic(fakes["fake"]).mean()}

    def _clip(self):
        self.clipped += 1

    def show(self, batch):
        return {"input": batch.input}


def toy_trainer():
    model = Toy()
    optimizers = {name: build_optimizer(net, "adam", 0.1, (0.5, 0.9), 0) for name, net in model.named_children()}
    return model, Trainer(model, optimizers, CPU, curve=ScheduleSettings(decay_from=0.5).curve(10))


def test_turns_are_taken_when_due_and_see_what_they_should():
    model, trainer = toy_trainer()
    batch = Paired(torch.ones(2, 1), torch.ones(2, 1))
    for _ in range(3):
        trainer.step(batch)
    assert model.seen == [("critic", False)] * 3 + [("generator", True)]
    assert model.clipped == 3


def test_extra_critic_turns_generate_without_a_graph():
    model, trainer = toy_trainer()
    graphs = []
    generate = model.generate
    model.generate = lambda batch: graphs.append(torch.is_grad_enabled()) or generate(batch)
    for _ in range(3):
        trainer.step(Paired(torch.ones(2, 1), torch.ones(2, 1)))
    assert graphs == [False, False, True]


def test_the_learning_rate_falls_in_equal_steps_and_none_is_taken_at_zero():
    curve = ScheduleSettings(decay_from=0.5).curve(10)
    factors = [curve(step) for step in range(10)]
    assert factors[:6] == [1, 1, 1, 1, 1, pytest.approx(5 / 6)]
    assert factors[-1] == pytest.approx(1 / 6)
    falls = [a - b for a, b in pairwise(factors[5:])]
    assert falls == pytest.approx([1 / 6] * 4)
    for schedule in SCHEDULES:
        for steps, start, warmup in ((1, 0.0, 0), (1, 1.0, 3), (7, 0.0, 2), (200, 0.5, 0)):
            curve = ScheduleSettings(schedule=schedule, decay_from=start, warmup=warmup).curve(steps)
            assert all(0 < curve(step) <= 1 for step in range(steps))


def test_the_optimizer_takes_the_curves_rate():
    _, trainer = toy_trainer()
    batch = Paired(torch.ones(2, 1), torch.ones(2, 1))
    for step in range(10):
        trainer.step(batch)
        expected = pytest.approx(0.1 * trainer.curve(step))
        assert trainer.optimizers["critic"].param_groups[0]["lr"] == expected
        assert trainer.learning_rates()["critic"] == expected


def test_the_average_follows_the_weights_by_its_formula():
    network = nn.Linear(1, 1)
    average = WeightAverage({"net": network}, 0.5)
    start = network.weight.detach().clone()
    with torch.no_grad():
        network.weight.fill_(1.0)
    average.update()
    decay = min(0.5, 2 / 11)
    torch.testing.assert_close(average.values["net.weight"], decay * start + (1 - decay))
    with average.applied():
        torch.testing.assert_close(network.weight.detach(), decay * start + (1 - decay))
    assert network.weight.item() == 1.0


def test_the_average_counts_the_generators_turns_only():
    model, trainer = toy_trainer()
    trainer.average = WeightAverage({"generator": model.generator}, 0.9)
    for _ in range(6):
        trainer.step(Paired(torch.ones(2, 1), torch.ones(2, 1)))
    assert trainer.average.updates == 2


def test_a_pool_shows_newcomers_until_full_and_then_trades_half_the_time():
    torch.manual_seed(0)
    pool = ImagePool(10, 1, 2)
    number = lambda i: torch.full((1, 1, 2, 2), float(i))  # noqa: E731
    assert [pool.exchange(number(i)).mean().item() for i in range(10)] == list(range(10))
    kept = set(pool.images[:, 0, 0, 0].tolist())
    assert kept == set(range(10))
    traded = 0
    for i in range(10, 1010):
        before = set(pool.images[:, 0, 0, 0].tolist())
        shown = pool.exchange(number(i)).mean().item()
        after = set(pool.images[:, 0, 0, 0].tolist())
        if shown == i:
            assert after == before, "shown itself, not kept"
        else:
            assert after == before - {shown} | {float(i)}, "traded for the one shown"
            traded += 1
    assert 430 < traded < 570


def test_a_full_pool_trades_any_image_it_keeps_as_often_as_another():
    torch.manual_seed(0)
    pool, shown = ImagePool(4, 1, 2), Counter()
    kept = torch.arange(4.0)[:, None, None, None].expand(-1, 1, 2, 2)
    for _ in range(1200):
        pool.images.copy_(kept)
        pool.stored.fill_(4)
        shown[pool.exchange(torch.full((1, 1, 2, 2), 9.0)).mean().item()] += 1
    assert shown.keys() == {0, 1, 2, 3, 9}
    assert all(100 < shown[image] < 200 for image in range(4)), "150 each are expected, give or take 11"


def test_a_pool_shows_a_batch_in_its_order():
    images = torch.arange(3.0)[:, None, None, None].expand(-1, 1, 2, 2)
    assert torch.equal(ImagePool(5, 1, 2).exchange(images), images)


def test_a_pool_of_nothing_shows_the_newcomers():
    images = torch.randn(3, 1, 2, 2, requires_grad=True)
    shown = ImagePool(0, 1, 2).exchange(images)
    assert torch.equal(shown, images) and not shown.requires_grad


def test_step_seeds_differ_between_steps_and_seeds():
    assert len({step_seed(seed, step) for seed in range(50) for step in range(200)}) == 50 * 200


@pytest.mark.parametrize("name", [*MODELS, "cyclegan, vit"])
def test_a_restored_trainer_goes_on_as_if_it_had_not_stopped(name):
    def trainer_of(seed):
        model = tiny_model("cyclegan", seed, VIT) if "vit" in name else tiny_model(name, seed)
        generators = {id(net) for turn in model.turns() if turn.trains_generators for net in turn.networks}
        average = WeightAverage({name: net for name, net in model.named_children() if id(net) in generators}, 0.9)
        clip = 0.1 if name == "pix2pix" else 0.0
        return tiny_trainer(
            model, clip=clip, seed=3, average=average, curve=ScheduleSettings(decay_from=0.2, warmup=5).curve(8)
        )

    whole = trainer_of(0)
    for step in range(8):
        if step == 4:
            weights = {key: value.clone() for key, value in network_weights(whole).items()}
            state = {key: value.clone() for key, value in training_state(whole).items()}
            average = {key: value.clone() for key, value in whole.average.values.items()}
        whole.step(random_batch(whole.model, seed=step))
    resumed = trainer_of(99)
    restore(resumed, 4, weights, average, state)
    for step in range(4, 8):
        resumed.step(random_batch(resumed.model, seed=step))
    for mine, theirs in (
        (resumed.model.state_dict(), whole.model.state_dict()),
        (resumed.average.values, whole.average.values),
        (training_state(resumed), training_state(whole)),
    ):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert resumed.read_losses() == whole.read_losses()
    assert resumed.read_norms() == whole.read_norms()


def test_showing_a_model_moves_none_of_its_statistics():
    model = tiny_model("pix2pix")
    trainer, batch = tiny_trainer(model), random_batch(model)
    trainer.step(batch)
    before = {name: value.clone() for name, value in model.named_buffers()}
    with trainer.shown(), torch.no_grad():
        model.train().generate(batch)
        assert any(not torch.equal(value, before[name]) for name, value in model.named_buffers()), "while it is shown"
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
