"""Models that generate images from noise, tiny, for tests."""

import json

import pytest
import tiny
import torch

from translate.data.batch import Labelled, Plain
from translate.data.labels import LabelGroup
from translate.models import MODELS
from translate.models.base import ImageSpec, Sampler

SPEC = ImageSpec(3, 16, ("a", "b", "c"), (LabelGroup(3, True),))
POINTS = ImageSpec(2, 1, ("ring",))
TINY = {kind: tiny.TINY[name] for name, kind in MODELS.items() if issubclass(kind, Sampler)}
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
