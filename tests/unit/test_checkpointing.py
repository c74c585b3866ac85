"""Gradient checkpointing: the same step with fewer activations kept."""

from contextlib import nullcontext

import pytest
import torch
from tiny import TINY, random_batch, tiny_model, tiny_trainer

from translate.errors import ConfigurationError
from translate.networks.resnet import ResnetGenerator
from translate.networks.unet import UNetGenerator
from translate.recipe import TrainingSettings
from translate.runs.build import build_trainer
from translate.training.runtime import Runtime
from translate.training.state import training_state

NETWORKS = {
    "resnet, instance": lambda **o: ResnetGenerator(3, 3, filters=4, blocks=2, **o),
    "resnet, batch, dropout": lambda **o: ResnetGenerator(
        3, 3, filters=4, blocks=2, normalisation="batch", dropout=True, **o
    ),
    "unet, dropout": lambda **o: UNetGenerator(3, 3, filters=4, levels=4, dropout_placement="paper", **o),
}


def one_pass(network, autocast):
    """Images, gradients, buffers, dice afterwards, and the bytes that were kept for the backward pass."""
    kept = []
    torch.manual_seed(3)
    images = (torch.rand(2, 3, 32, 32) * 2 - 1).requires_grad_()
    with (
        torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast),
    ):
        fakes = network(images)
    bytes_kept = sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept}.values())
    fakes.float().square().mean().backward()
    found = {name: weight.grad for name, weight in network.named_parameters()} | dict(network.named_buffers())
    return found | {"painted": fakes, "images": images.grad, "dice": torch.rand(3)}, bytes_kept


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_pass_is_the_same_and_keeps_less(kind, autocast):
    torch.manual_seed(0)
    whole, checkpointed = NETWORKS[kind](), NETWORKS[kind](checkpointing=True)
    checkpointed.load_state_dict(whole.state_dict())
    theirs, much = one_pass(whole, autocast)
    mine, little = one_pass(checkpointed, autocast)
    assert mine.keys() == theirs.keys()
    assert not [key for key in mine if not torch.equal(mine[key], theirs[key])]
    assert little < 0.6 * much


@pytest.mark.parametrize("turns", ["joint", "separate"])
def test_training_is_the_same(turns):
    settings = TINY["cyclegan"] | {"turns": turns}
    generator = {"kind": "resnet", "filters": 4, "blocks": 1, "dropout": True, "normalisation": "batch"}
    trainers = [
        tiny_trainer(tiny_model("cyclegan", settings=settings | {"generator": generator | {"checkpointing": on}}))
        for on in (False, True)
    ]
    for step in range(3):
        for trainer in trainers:
            trainer.step(random_batch(trainer.model, seed=step))
    theirs, mine = ({**trainer.model.state_dict(), **training_state(trainer)} for trainer in trainers)
    assert not [key for key in mine if not torch.equal(mine[key], theirs[key])]


def test_nothing_is_recomputed_in_evaluation(monkeypatch):
    monkeypatch.setattr("translate.networks.resnet.recomputed", lambda *_: pytest.fail("recomputed"))
    network = ResnetGenerator(3, 3, filters=2, blocks=1, checkpointing=True)
    assert network.eval()(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    ("generator", "refused"),
    [
        ({"kind": "unet", "filters": 2, "levels": 4, "dropout_placement": "paper", "checkpointing": True}, True),
        (
            {
                "kind": "unet",
                "filters": 2,
                "levels": 4,
                "dropout_placement": "paper",
                "checkpointing": True,
                "dropout": 0,
            },
            False,
        ),
        ({"kind": "unet", "filters": 2, "levels": 4, "dropout_placement": "paper"}, False),
        ({"kind": "resnet", "filters": 2, "blocks": 1, "checkpointing": True, "dropout": True}, True),
    ],
)
def test_dropout_that_is_computed_again_is_not_for_a_recorded_step(generator, refused, monkeypatch):
    monkeypatch.setattr("translate.training.trainer.CudaRecorder", lambda device: None)
    model = tiny_model("pix2pix", settings=TINY["pix2pix"] | {"generator": generator})
    runtime = Runtime(torch.device("cpu"), cuda_graphs=True)
    expected = pytest.raises(ConfigurationError, match="repeats dropout") if refused else nullcontext()
    with expected:
        build_trainer(model, TrainingSettings(steps=1), runtime, total=1)
