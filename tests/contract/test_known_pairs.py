"""What every method that learns from known pairs promises; a method is one by its setting `paired_weight`."""

import pytest
import torch
from test_pretended_cuda import CUDA, Copies, pretended_cuda, trainer_of  # noqa: F401
from test_program import READS, TapeRecorder
from tiny import TINY, random_batch, tiny_model, tiny_trainer

from translate.data.batch import AllPaired, SomePaired, Unpaired
from translate.models import MODELS
from translate.training.cuda_graphs import GraphedStep

CASES = {name: (name, TINY[name]) for name, kind in MODELS.items() if "paired_weight" in kind.Config.model_fields} | {
    "cyclegan, separate turns": ("cyclegan", TINY["cyclegan"] | {"turns": "separate"})
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def batch_of(model, seed, known):
    """Random images, of which these are pairs."""
    batch = random_batch(model, size=len(known), seed=seed)
    return SomePaired(batch.a, batch.b, torch.tensor(known))


def after_steps(case, batches, **settings):
    """The weights, and the losses by their names."""
    name, values = case
    trainer = tiny_trainer(tiny_model(name, settings=values | settings), seed=5)
    for batch in batches(trainer.model):
        trainer.step(batch)
    return trainer.model.state_dict(), trainer.read_losses()


def same(mine, theirs):
    return [key for key in mine if not torch.equal(mine[key], theirs[key])] == [] and mine.keys() == theirs.keys()


def test_a_batch_that_knows_no_pairs_takes_the_step_without_the_weight_to_the_bit(case):
    def as_always(model):
        return [random_batch(model, seed=step) for step in range(3)]

    def with_pairs(model):
        return [batch_of(model, step, [True, False]) for step in range(3)]

    (plain, losses), (weighted, _) = after_steps(case, as_always, paired_weight=0), after_steps(case, as_always)
    off, more = after_steps(case, with_pairs, paired_weight=0)
    assert same(plain, weighted) and same(plain, off) and losses.keys() == more.keys()
    on, told = after_steps(case, with_pairs)
    assert not same(plain, on) and {key.split("/")[1] for key in told.keys() - losses.keys()} == {"paired"}


def paired_of(model, batch):
    """The losses from known pairs, of all turns."""
    fakes = model.generate(batch)
    losses = [turn.losses(batch, fakes) for turn in model.turns() if turn.trains_generators]
    return {key: loss.detach() for each in losses for key, loss in each.items() if key.startswith("paired/")}, fakes


def test_the_loss_is_the_l1_of_known_pairs_alone(case):
    name, values = case
    model = tiny_model(name, settings=values | {"paired_weight": 3}).eval()
    batch = batch_of(model, 0, [True, False, True])
    losses, fakes = paired_of(model, batch)
    assert losses
    for key, loss in losses.items():
        side = key.removeprefix("paired/")
        apart = (fakes[side] - getattr(batch, side)).detach().double().abs().mean((1, 2, 3)).tolist()
        assert float(loss) == pytest.approx(3 * (apart[0] + apart[2]) / 2, rel=1e-5)
    all_known, _ = paired_of(model, AllPaired(batch.a, batch.b, torch.tensor([True] * 3)))
    assert all(float(all_known[key]) != float(loss) for key, loss in losses.items())


def test_a_batch_without_pairs_adds_nothing_and_moves_weights_as_always(case):
    none, losses = after_steps(case, lambda model: [batch_of(model, 0, [False, False])])
    as_always, _ = after_steps(case, lambda model: [random_batch(model, seed=0)])
    paired = {key: value for key, value in losses.items() if key.split("/")[1] == "paired"}
    assert paired and set(paired.values()) == {0.0} and all(torch.isfinite(value).all() for value in none.values())
    for key, value in as_always.items():
        assert torch.allclose(none[key].double(), value.double(), atol=1e-6), key


def test_a_step_with_pairs_is_a_program_of_tensors(case):
    """Recorded with one pair in the batch, done again with none and with two."""
    name, values = case
    eager, recorded = (tiny_trainer(tiny_model(name, settings=values), seed=5) for _ in range(2))
    recorder = TapeRecorder()
    recorded.program = GraphedStep(recorded.program, recorder)
    for step in range(6):
        known = [[True, False], [False, False], [True, True]][step % 3]
        for trainer in (eager, recorded):
            trainer.step(batch_of(trainer.model, step, known))
    assert recorder.tapes and not [call for tape in recorder.tapes for call in tape.calls if call[0] in READS]
    assert same(recorded.model.state_dict(), eager.model.state_dict())
    assert recorded.read_losses() == eager.read_losses()


def test_a_step_with_pairs_reads_nothing_from_the_device(case, pretended_cuda, monkeypatch):  # noqa: F811
    trainer = trainer_of(*case, "adam", monkeypatch)
    batches = [batch_of(trainer.model, step, [True, False]).map(lambda values: values.to(CUDA)) for step in range(2)]
    trainer.step(batches[0])
    with Copies() as copies:
        trainer.step(batches[1])
    assert copies.found == []


def test_parts_of_a_batch_with_as_many_pairs_are_the_batch():
    """What accumulates, and what ranks average."""
    model = tiny_model("cyclegan").eval()
    whole = batch_of(model, 0, [True, False, False, True])
    losses, _ = paired_of(model, whole)
    parts = [paired_of(model, part)[0] for part in whole.split(2)]
    for key, loss in losses.items():
        assert float(loss) == pytest.approx(sum(float(part[key]) for part in parts) / 2, rel=1e-5)


def test_methods_that_use_no_pairs_take_batches_that_know_them_as_any():
    model = tiny_model("direct")
    batch = batch_of(model, 0, [True, False])
    assert isinstance(batch, Unpaired) and batch.towards(1)[0] is batch.a
    assert not paired_of(model, batch)[0]
