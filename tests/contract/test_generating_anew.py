"""A turn that differentiates through fakes whose networks have moved since generates them anew."""

import pytest
import torch
from test_non_finite import KINDS
from test_program import READS, TapeRecorder
from tiny import random_batch, tiny_model, tiny_trainer
from two_generators import BETAS, CLIP, RATE, TwoPainters, batch_of, trainer_of

from translate.models import MODELS
from translate.training.cuda_graphs import GraphedStep

STEPS = 3


def plain_loop(kind, accumulate, clip):
    """The same turns written down plainly: each that trains generators makes its own fakes, by simple optimizers."""
    model, simple = TwoPainters(), {"lr": RATE, "weight_decay": 0.01, "foreach": False}
    optimizers = {
        network: torch.optim.Adam(network.parameters(), betas=BETAS, fused=False, **simple)
        if kind == "adam"
        else torch.optim.RMSprop(network.parameters(), **simple)
        for network in model.children()
    }
    for step in range(STEPS):
        parts = batch_of(step).split(accumulate)
        latest = [model.generate(part) for part in parts]
        for turn in model.turns():
            model.zero_grad()
            if turn.trains_generators:
                latest = [model.generate(part) for part in parts]
            for part, images in zip(parts, latest, strict=True):
                seen = images if turn.trains_generators else {name: image.detach() for name, image in images.items()}
                (sum(turn.losses(part, seen).values()) / accumulate).backward()
            for network in turn.networks:
                if clip:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
                optimizers[network].step()
    return model


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clip", [0.0, CLIP])
def test_turns_that_share_a_network_move_it_as_a_plain_loop_does(kind, accumulate, clip):
    optimizer, fused = KINDS[kind]
    trainer = trainer_of(optimizer, fused, accumulate, clip=clip)
    for step in range(STEPS):
        trainer.step(batch_of(step))
    wanted = plain_loop(optimizer, accumulate, clip)
    for (name, weight), other in zip(trainer.model.named_parameters(), wanted.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=0, atol=1e-12, msg=lambda text, name=name: f"{name}: {text}")


def test_it_is_painted_once_for_each_turn_that_needs_it_anew():
    trainer = trainer_of()
    trainer.step(batch_of(0))
    assert trainer.model.generated == 2 * 3  # two images: for the critic; after the encoder moved; after the generator
    parts = trainer_of(accumulate=2)
    parts.step(batch_of(0))
    assert parts.model.generated == 2 * 2 * 3


@pytest.mark.parametrize("clip", [0.0, CLIP])
def test_painting_anew_is_part_of_the_program_of_a_step(clip):
    eager, recorded, recorder = trainer_of(clip=clip), trainer_of(clip=clip), TapeRecorder()
    recorded.program = GraphedStep(recorded.program, recorder)
    for step in range(6):
        for trainer in (eager, recorded):
            trainer.step(batch_of(step))
    assert not [call for tape in recorder.tapes for call in tape.calls if call[0] in READS]
    assert recorder.tapes
    assert recorded.read_norms() == eager.read_norms()
    for weight, other in zip(recorded.model.parameters(), eager.model.parameters(), strict=True):
        assert torch.equal(weight, other)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_no_shipped_model_paints_more_often_than_it_needs(name, accumulate):
    """Once a step, and again for a further turn that trains generators; of a batch in parts, once for what only looks,
    and once for each turn that trains generators."""
    model = tiny_model(name)
    calls, generate = [], model.generate
    model.generate = lambda batch: calls.append(len(batch)) or generate(batch)
    trainer = tiny_trainer(model, accumulate=accumulate)
    pace = max(turn.every for turn in model.turns())
    trainer.steps = pace - 1
    trainer.step(random_batch(model, size=4))
    generators = sum(turn.trains_generators for turn in model.turns())
    assert len(calls) == (max(1, generators) if accumulate == 1 else accumulate * (1 + generators))
