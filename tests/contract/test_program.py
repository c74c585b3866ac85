"""A step is a program of tensors: its operations alone, done again, are the next steps, as a CUDA graph does them."""

import pytest
import torch
from frozen_files import VGG
from tiny import TINY, VIT, random_batch, tiny_model, tiny_trainer
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from translate.models import MODELS
from translate.training.cuda_graphs import GraphedStep
from translate.training.optim import WeightAverage
from translate.training.state import training_state

READS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default, torch.ops.aten.equal.default}
"""Operations that give the host a number, which a recording would keep for ever."""


class Tape(TorchDispatchMode):
    """Takes down every operation on tensors, and does them again on whatever the same tensors hold then."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out

    @torch.no_grad()
    def play(self):
        made = {}

        def of_this_time(value):
            return made.get(id(value), value) if isinstance(value, Tensor) else value

        for func, args, kwargs, out in self.calls:
            result = func(*tree_map(of_this_time, args), **tree_map(of_this_time, kwargs))
            made |= {id(was): now for was, now in zip(tree_leaves(out), tree_leaves(result), strict=True)}


class TapeRecorder:
    """As CUDA graphs, but that what is recorded is done at once: the first replay has nothing left to do."""

    def __init__(self):
        self.tapes = []

    def warm_up(self, work):
        work()

    def record(self, work):
        tape, done = Tape(), []
        self.tapes.append(tape)
        with tape:
            work()

        def replay():
            if done:
                tape.play()
            done.append(True)

        return replay


CHANGED = {
    "pix2pix, enlarging": ("pix2pix", {"generator": {"kind": "srresnet", "filters": 4, "blocks": 1}}),
    "cyclegan, vit": ("cyclegan", VIT),
    "pix2pix, projected": (
        "pix2pix",
        {"discriminator": {"kind": "projected", "weights": str(VGG), "filters": 2, "enlarged": 0}}
        | {"generator": {"kind": "enhanced", "filters": 2, "blocks": 1, "downsamplings": 2, "fixed": True}}
        | {"perceptual": 1, "perceptual_weights": str(VGG), "first_turn": "generator"},
    ),
}


def trainer_of(name):
    method, changed = CHANGED.get(name, (name, {}))
    model = tiny_model(method, settings=TINY[method] | changed)
    generators = {id(net) for turn in model.turns() if turn.trains_generators for net in turn.networks}
    average = WeightAverage({key: net for key, net in model.named_children() if id(net) in generators}, 0.9)
    return tiny_trainer(model, average=average, seed=5)


@pytest.mark.parametrize("name", [*MODELS, *CHANGED])
def test_the_operations_of_a_step_are_the_next_steps(name):
    eager, recorded, recorder = trainer_of(name), trainer_of(name), TapeRecorder()
    recorded.program = GraphedStep(recorded.program, recorder)
    pace = max(turn.every for turn in eager.model.turns())
    for step in range(6 * pace):
        for trainer in (eager, recorded):
            trainer.step(random_batch(trainer.model, seed=step))
    assert recorder.tapes
    assert not [call for tape in recorder.tapes for call in tape.calls if call[0] in READS]
    mine, theirs = ({**t.model.state_dict(), **t.average.values, **training_state(t)} for t in (recorded, eager))
    assert mine.keys() == theirs.keys()
    different = [key for key in mine if not torch.equal(mine[key], theirs[key])]
    assert not different
    assert recorded.read_losses() == eager.read_losses()


def test_a_step_that_reads_a_number_is_found_out():
    trainer, recorder = trainer_of("cyclegan"), TapeRecorder()
    generate = trainer.model.generate
    trainer.model.generate = lambda batch: {
        name: image * batch.a.mean().item() for name, image in generate(batch).items()
    }
    trainer.program = GraphedStep(trainer.program, recorder)
    for step in range(4):
        trainer.step(random_batch(trainer.model, seed=step))
    assert [call for tape in recorder.tapes for call in tape.calls if call[0] in READS]
