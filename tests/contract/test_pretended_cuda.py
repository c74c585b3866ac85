"""What a step must not do on a CUDA device, seen without one: torch's fake tensors say that they lie there.

They hold no numbers: whoever reads one (`item`, a branch, a boolean index) fails. What is copied from the host, which
waits in an eager step and cannot be recorded in a captured one, is taken down. Backward passes are left out: torch's
engine asks for the device itself.
"""

import copy

import pytest
import torch
from tiny import TINY, VIT, random_batch, tiny_model
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from translate.models import MODELS
from translate.networks.pretrained import standardised
from translate.training.optim import WeightAverage, build_optimizer
from translate.training.runtime import Runtime
from translate.training.trainer import Trainer

CUDA = torch.device("cuda")
SRRESNET = {"kind": "srresnet", "filters": 4, "blocks": 1}


class Copies(TorchDispatchMode):
    """The operations that take a tensor of one device to another."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [value for value in tree_leaves((args, kwargs, out)) if isinstance(value, Tensor)]
        if func is torch.ops.aten._to_copy.default and len({tensor.device.type for tensor in tensors}) > 1:
            self.found.append(tensors[0].shape)
        return out


def with_settings(name, **more):
    settings = copy.deepcopy(TINY[name])
    for key, value in more.items():
        settings[key] = settings.get(key, {}) | value if isinstance(value, dict) else value
    return name, settings


CASES = {name: (name, TINY[name]) for name in MODELS} | {
    "separate turns": with_settings("cyclegan", turns="separate"),
    "augmented": with_settings("cyclegan", adversarial={"augment": ["colour", "translation", "cutout"]}),
    "penalties": with_settings(
        "cyclegan", adversarial={"objective": "wasserstein", "gradient_penalty": 10, "r1": 1, "r2": 1, "clip": 0.01}
    ),
    "spectral": with_settings("cyclegan", discriminator={"spectral": True, "scales": 2}),
    "blur": with_settings("cyclegan", generator={"upsampling": "blur", "dropout": True, "residual": True}),
    "pixel shuffle": with_settings("cyclegan", generator={"upsampling": "pixel_shuffle", "normalisation": "batch"}),
    "enlarging": ("pix2pix", TINY["pix2pix"] | {"generator": SRRESNET}),
    "enlarging unpaired": ("direct", TINY["direct"] | {"generator": SRRESNET}),
    "checkpointing": with_settings("cyclegan", generator={"checkpointing": True}),
    "vit": ("cyclegan", VIT),
    "gaussian": with_settings("vae", binarise=True, likelihood="gaussian"),
    "uniform noise": with_settings("gan", noise="uniform", adversarial={"discriminator_turns": 2}),
}


@pytest.fixture
def pretended_cuda(monkeypatch):
    def backward(total, inputs):
        for weight in inputs:
            weight.grad = torch.empty_like(weight)

    monkeypatch.setattr(torch.autograd, "backward", backward)
    monkeypatch.setattr(torch.autograd, "grad", lambda total, inputs, **options: (inputs * total,))
    with FakeTensorMode():
        yield


def trainer_of(name, settings, kind, monkeypatch, accumulate=1):
    with CUDA:
        model = tiny_model(name, settings=settings)
    moved = {id(network) for turn in model.turns() for network in turn.networks}
    networks = {key: network for key, network in model.named_children() if id(network) in moved}
    with monkeypatch.context() as patch:  # torch checks the number once, when an optimizer is made
        patch.setattr(torch, "tensor", lambda value, device: value)
        optimizers = {
            key: build_optimizer(net, kind, 1e-3, (0.5, 0.9), 0.01, clip=1.0, fused=False)
            for key, net in networks.items()
        }
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group |= {"lr": torch.full((), 1e-3, device=CUDA), "foreach": True}  # as torch chooses for true tensors
    average = WeightAverage(networks, 0.9)
    return Trainer(model.train(), optimizers, Runtime(CUDA), average=average, accumulate=accumulate)


def copies_of_a_step(trainer):
    """Of every turn's second time: the first may make what stays."""
    model, pace = trainer.model, max(turn.every for turn in trainer.model.turns())
    batches = [random_batch(model, size=4, seed=step).map(lambda values: values.to(CUDA)) for step in range(2 * pace)]
    for batch in batches[:pace]:
        trainer.step(batch)
    with Copies() as copies:
        for batch in batches[pace:]:
            trainer.step(batch)
    return copies.found


@pytest.mark.parametrize("case", CASES)
def test_no_step_reads_from_the_device_or_copies_to_it(case, pretended_cuda, monkeypatch):
    assert copies_of_a_step(trainer_of(*CASES[case], "adam", monkeypatch)) == []


def test_no_step_in_parts_does_nor_another_optimizer(pretended_cuda, monkeypatch):
    assert copies_of_a_step(trainer_of("gan", TINY["gan"], "rmsprop", monkeypatch, accumulate=2)) == []


@pytest.mark.parametrize("weight", [lambda step: 0.5 ** (step / 1000), lambda step: (1 - step / 5000).clamp(min=0)])
def test_no_weight_that_follows_the_step_does(weight, pretended_cuda, monkeypatch):
    trainer = trainer_of("gan", TINY["gan"], "adam", monkeypatch)
    model, generate = trainer.model, trainer.model.generate
    model.generate = lambda batch: {name: image * weight(model.step) for name, image in generate(batch).items()}
    assert copies_of_a_step(trainer) == [] and model.step.device.type == "cuda"


def test_images_for_a_classifier_are_standardised_on_the_device(pretended_cuda):
    images = torch.rand(1, 3, 8, 8, device=CUDA)
    with Copies() as copies:
        assert standardised(images).device.type == "cuda"
    assert copies.found == []


@pytest.mark.parametrize(
    "read", [lambda score: score.item(), lambda score: score[score > 0].sum(), lambda score: 1.0 if score > 0 else 0.0]
)
def test_a_step_that_reads_is_found_out(read, pretended_cuda, monkeypatch):
    trainer = trainer_of("gan", TINY["gan"], "adam", monkeypatch)
    generate = trainer.model.generate
    trainer.model.generate = lambda batch: {
        name: image * read(batch.images.mean()) for name, image in generate(batch).items()
    }
    with pytest.raises((DataDependentOutputException, DynamicOutputShapeException)):
        copies_of_a_step(trainer)


@pytest.mark.parametrize(
    "made",
    [
        lambda image: image.new_tensor([1.0]),
        lambda image: torch.tensor(1.0, device=CUDA),
        lambda image: image[[0]].mean(),
    ],
)
def test_a_step_that_copies_is_found_out(made, pretended_cuda, monkeypatch):
    trainer = trainer_of("gan", TINY["gan"], "adam", monkeypatch)
    generate = trainer.model.generate
    trainer.model.generate = lambda batch: {name: image * made(batch.images) for name, image in generate(batch).items()}
    assert copies_of_a_step(trainer)
