"""A loss weight that decays with `model.step` does so in a step in parts, after a resume, and where it is replayed."""

import pytest
import torch
from test_program import READS, TapeRecorder
from tiny import CPU
from torch import nn

from translate.data.batch import Plain
from translate.models.base import ImageSpec, Model, Turn
from translate.training.cuda_graphs import GraphedStep
from translate.training.optim import build_optimizer
from translate.training.state import network_weights, restore, training_state
from translate.training.trainer import Trainer
from translate.utils.settings import Settings

RATE, BETAS, STEPS = 0.1, (0.5, 0.9), 7


class Fading(Model):
    """A generator that one loss pulls down, ever less, and another up."""

    Config = Settings
    batch_type = Plain

    def __init__(self):
        super().__init__(Settings(), ImageSpec(1, 8, ("a",)))
        self.generator = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.generator.weight)

    def generate(self, batch):
        return {"fake": self.generator(batch.images)}

    def turns(self):
        return [Turn("generator", [self.generator], self._losses, trains_generators=True)]

    def _losses(self, batch, fakes):
        weight = 0.5**self.step
        return {"down": weight * fakes["fake"].mean(), "up": (fakes["fake"] - 2).square().mean(), "weight": weight}

    def show(self, batch):
        return {}


def trainer_of(accumulate=1):
    model = Fading()
    optimizers = {"generator": build_optimizer(model.generator, "adam", RATE, BETAS, 0.0)}
    return Trainer(model, optimizers, CPU, accumulate=accumulate)


def batch_of(step):
    return Plain(torch.randn(2, 1, generator=torch.Generator().manual_seed(step)))


def plain_loop():
    """The same with the weight as a number."""
    weight = torch.ones(1, 1, requires_grad=True)
    optimizer = torch.optim.Adam([weight], RATE, BETAS)
    for step in range(STEPS):
        optimizer.zero_grad()
        fake = batch_of(step).images * weight
        (0.5**step * fake.mean() + (fake - 2).square().mean()).backward()
        optimizer.step()
    return weight


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_weight_that_decays_with_the_step_is_that_of_each_step(accumulate, recorded):
    trainer, recorder = trainer_of(accumulate), TapeRecorder()
    if recorded:
        trainer.program = GraphedStep(trainer.program, recorder)
    for step in range(STEPS):
        trainer.step(batch_of(step))
    torch.testing.assert_close(trainer.model.generator.weight, plain_loop(), rtol=1e-5, atol=1e-6)
    assert trainer.read_losses()["generator/weight"] == pytest.approx((2 - 0.5 ** (STEPS - 1)) / STEPS)
    assert len(recorder.tapes) == recorded
    assert not [call for tape in recorder.tapes for call in tape.calls if call[0] in READS]


def test_a_resumed_run_goes_on_with_the_weight_of_its_step():
    whole, resumed = trainer_of(), trainer_of()
    for step in range(STEPS):
        if step == 4:
            states = [
                {key: value.clone() for key, value in of(whole).items()} for of in (network_weights, training_state)
            ]
            weights, state = states
        whole.step(batch_of(step))
    restore(resumed, 4, weights, {}, state)
    for step in range(4, STEPS):
        resumed.step(batch_of(step))
    assert torch.equal(resumed.model.generator.weight, whole.model.generator.weight)
    assert resumed.read_losses() == whole.read_losses()


def test_the_step_is_no_part_of_what_is_saved_and_stays_where_it_is():
    trainer = trainer_of()
    before = trainer.model.step
    trainer.step(batch_of(0))
    trainer.step(batch_of(1))
    assert trainer.model.step is before and before == 1
    assert list(trainer.model.state_dict()) == ["generator.weight"]
