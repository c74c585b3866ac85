"""Models that draw images from noise, tiny, for tests."""

import json

import pytest
import tiny
import torch

from translate.data.batch import Labelled, Plain
from translate.data.labels import LabelGroup
from translate.models.base import ImageSpec
from translate.models.cgan import CGAN
from translate.models.gan import GAN
from translate.models.stackgan import StackGAN
from translate.models.vae import VAE

SPEC = ImageSpec(3, 16, ("a", "b", "c"), (LabelGroup(3, True),))
POINTS = ImageSpec(2, 1, ("ring",))
TINY = {kind: tiny.TINY[name] for name, kind in (("gan", GAN), ("cgan", CGAN), ("vae", VAE), ("stackgan", StackGAN))}
EVERY = pytest.mark.parametrize("kind", TINY, ids=lambda kind: kind.__name__)


def model_of(kind, spec=SPEC, seed=0, **settings):
    torch.manual_seed(seed)
    config = kind.Config.model_validate_json(json.dumps({**TINY[kind], **settings}))
    return kind(config, spec)


def batch_of(kind, count=4, seed=0):
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, 16, 16, generator=rng) * 2 - 1
    labels = torch.eye(3)[torch.randint(3, (count,), generator=rng)]
    return Plain(images) if kind.batch_type is Plain else Labelled(images, labels)


def losses_of(model, turn, batch, fakes):
    (chosen,) = [each for each in model.turns() if each.name == turn]
    return chosen.losses(batch, fakes)
