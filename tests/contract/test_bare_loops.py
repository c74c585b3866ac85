"""The bare loops of examples/ take the very steps that the Trainer takes: same weights, batches and random numbers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny import CPU
from torch import Tensor, nn

from translate.losses.image_pool import ImagePool
from translate.models import MODELS
from translate.models.base import ImageSpec
from translate.training.optim import build_optimizer
from translate.training.trainer import Trainer, step_seed

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SIZE, STEPS = 16, 4


def _example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _images(step: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(step)
    return [torch.rand(2, 3, SIZE, SIZE, generator=rng, dtype=torch.float64) * 2 - 1 for _ in "ab"]


def _require_the_trainers_steps(example, bare: nn.Module, take, settings: dict, names: dict[str, str]) -> None:
    """`take(step, images)` takes a step of `bare`, whose networks are called `names` in the model of these settings."""
    kind = MODELS[settings["name"]]
    spec = ImageSpec(channels=3, size=SIZE, domains=("a", "b"))
    model = kind(kind.Config.model_validate_json(json.dumps(settings)), spec).double()
    for own, other in names.items():
        model.get_submodule(other).load_state_dict(bare.get_submodule(own).state_dict())
    begun = {name: value.clone() for name, value in bare.named_parameters()}
    optimizers = {
        name: build_optimizer(model.get_submodule(name), "adam", example.RATE, example.BETAS, 0.0)
        for name in names.values()
        if list(model.get_submodule(name).parameters())
    }
    trainer = Trainer(model, optimizers, CPU)
    for step in range(STEPS):
        images = _images(step)
        trainer.step(kind.batch_type(*images[: len(kind.batch_type.names())]))
        torch.manual_seed(step_seed(0, step))
        take(step, images)
    for own, other in names.items():
        found, wanted = bare.get_submodule(own).state_dict(), model.get_submodule(other).state_dict()
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-8, msg=lambda text, own=own: f"{own}: {text}")
    moved = [name for name, value in bare.named_parameters() if (value - begun[name]).abs().max() > 0.1 * example.RATE]
    assert len(moved) > 0.6 * len(begun)  # biases before a normalisation have no gradient to speak of


def test_cyclegans_loop_is_the_trainers():
    example = _example("cyclegan")
    torch.manual_seed(0)
    bare = example.CycleGAN(SIZE).double()
    bare.pool_a, bare.pool_b = (ImagePool(3, 3, SIZE).double() for _ in "ab")  # soon full: old fakes are shown
    optimizers = bare.optimizers()
    resnet = {"kind": "resnet", "filters": 16, "blocks": 3, "downsamplings": 1, "residual": True}
    _require_the_trainers_steps(
        example,
        bare,
        lambda step, images: bare.step(*images, *optimizers),
        {
            "name": "cyclegan",
            "cycle": example.CYCLE,
            "identity": 0,
            "pool": 3,
            "generator": resnet,
            "discriminator": {"filters": 32, "layers": 2},
        },
        {"F": "generator_a", "G": "generator_b", "D_a": "discriminator_a", "D_b": "discriminator_b"}
        | {f"pool_{domain}": f"pool_{domain}" for domain in "ab"},
    )


def test_pix2pixs_loop_is_the_trainers():
    example = _example("pix2pix")
    torch.manual_seed(0)
    bare = example.Pix2Pix(SIZE).double()
    optimizers = bare.optimizers()
    _require_the_trainers_steps(
        example,
        bare,
        lambda step, images: bare.step(*images, *optimizers),
        {
            "name": "pix2pix",
            "reconstruction": example.LAMBDA,
            "generator": {"kind": "unet", "filters": 16},
            "discriminator": {"filters": 32, "layers": 2, "normalisation": "batch"},
        },
        {"G": "generator", "D": "discriminator"},
    )


@pytest.mark.parametrize("pace", [1, 2])
def test_wgan_gps_loop_is_the_trainers(pace, monkeypatch):
    example = _example("wgan_gp")
    monkeypatch.setattr(example, "CRITIC_STEPS", pace)
    torch.manual_seed(0)
    bare = example.WGAN(SIZE).double()
    optimizers = bare.optimizers()
    game = {"objective": "wasserstein", "gradient_penalty": example.LAMBDA, "discriminator_turns": pace}
    _require_the_trainers_steps(
        example,
        bare,
        lambda step, images: bare.step(images[0], step, *optimizers),
        {
            "name": "gan",
            "adversarial": game,
            "code": example.CODE,
            "generator": {"kind": "dcgan", "filters": 32},
            "discriminator": {"kind": "dcgan", "filters": 32, "normalisation": "none"},
        },
        {"G": "generator", "D": "discriminator"},
    )
