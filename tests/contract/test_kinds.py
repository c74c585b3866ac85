"""What every kind of domain promises: how it is held, and which planes it becomes in training and conversion."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from instance_files import things
from PIL import Image
from test_pretended_cuda import CUDA, Copies
from torch._subclasses.fake_tensor import FakeTensorMode

from translate.data.domain import KINDS, Domain
from translate.data.domain_settings import DomainSettings
from translate.data.io.images import Picture
from translate.data.planes import coloured, planes, planes_of, read_as, together
from translate.data.sound.kind import domain_of
from translate.data.sound.spectrum import Spectrum
from translate.data.source_file import Source
from translate.inference.converter import Converter
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.training.runtime import Runtime

EXAMPLES = {
    "image": Domain("a", 3, dtype="uint8"),
    "labels": Domain("a", 5, dtype="uint8", kind="labels"),
    "instances": Domain("a", 2, dtype="uint16", kind="instances"),
    "sound": domain_of("a", Spectrum()),
}
PICTURES = EXAMPLES.keys() - {"sound"}
"""Kinds whose files are pictures."""


class Given(ImageTranslator):
    """Keeps what it is given, and gives grey."""

    stride = 1

    def translate(self, images: torch.Tensor, request: Request) -> torch.Tensor:
        self.given = images.clone()
        return images.mean(1, keepdim=True)

    def targets(self) -> list[int]:
        return [1]


def held(domain: Domain, size: int = 96) -> np.ndarray:
    """A sample (size, size, stored channels)."""
    found = things(1, 30, size)[..., None]
    return np.repeat(found % (domain.classes or 31), domain.stored_channels, 2).astype(domain.held)


def of_batch(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(2, 0, 1)[None]


def test_every_kind_has_an_example() -> None:
    assert EXAMPLES.keys() == KINDS.keys()
    assert all(DomainSettings(kind=kind).said == kind for kind in KINDS)
    assert DomainSettings.model_json_schema()["properties"]["kind"]["enum"] == [*KINDS, None]
    known = set(DomainSettings.model_fields) - {"kind"}
    assert set().union(*(kind.settings for kind in KINDS.values())) == known, "every setting is of some kind"


@pytest.mark.parametrize("kind", KINDS)
def test_planes_lie_between_the_ends_and_colours_too(kind: str) -> None:
    domain = EXAMPLES[kind]
    made = planes(of_batch(held(domain)), domain)
    assert made.shape == (1, domain.channels, 96, 96) and made.dtype == torch.float32
    assert -1 <= made.min() < made.max() <= 1
    shown = coloured(made, domain)
    assert shown.shape == (1, 3, 96, 96) and shown.dtype == torch.float32 and -1 <= shown.min() < shown.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_planes_are_made_on_the_device_by_a_program_of_tensors(kind: str) -> None:
    domain = EXAMPLES[kind]
    with FakeTensorMode():  # whoever reads a number from it fails
        images = torch.empty((2, domain.stored_channels, 8, 8), dtype=torch.uint8, device=CUDA)
        given = images.to(torch.uint16) if domain.held == np.uint16 else images
        with Copies() as copies:
            assert planes(given, domain).device.type == "cuda"
    assert copies.found == []


@pytest.mark.parametrize("kind", sorted(PICTURES))
def test_files_are_read_alike_for_training_and_conversion(kind: str, tmp_path: Path) -> None:
    domain, path = EXAMPLES[kind], tmp_path / "a.png"
    images = held(domain)
    Image.fromarray(images[..., 0] if images.shape[2] == 1 else images).save(path)
    read = Source.of(Source(path), domain).read(domain.stored_channels)
    assert read.dtype == domain.held and read.shape[2] == domain.stored_channels
    np.testing.assert_array_equal(read_as(path, domain).pixels, read)
    np.testing.assert_array_equal(read, images)


@pytest.mark.parametrize("size", [96, 24, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_conversion_gives_networks_the_planes_that_training_gives_them(kind: str, size: int, tmp_path: Path) -> None:
    """At every working size."""
    domain, runtime = EXAMPLES[kind], Runtime(torch.device("cpu"))
    images = held(domain)
    model = Given()
    spec = ImageSpec(3, 96, ("a", "b"), each=(domain, Domain("b", 1, dtype="uint8")))
    converter = Converter(model, spec, runtime)
    converter.size = size
    converter.convert_pictures([Picture(images)], Request.to(1))
    wanted = planes(of_batch(domain.resized(images, size, size)), domain)
    torch.testing.assert_close(model.given, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_domain_of_every_kind_is_kept_in_checkpoints_and_beside_others(kind: str) -> None:
    domain = EXAMPLES[kind]
    assert Domain.of(json.loads(json.dumps(asdict(domain)))) == domain
    stacked = Domain.stacked("both", [Domain("photo", 3, dtype="uint8"), domain])
    photo = np.zeros((96, 96, 3), np.uint8)
    sample = together([photo, held(domain)], stacked)
    both = planes(of_batch(sample), stacked)
    torch.testing.assert_close(both[:, 3:], planes(of_batch(held(domain)), domain), atol=1e-6, rtol=0)
    assert planes_of(Picture(sample), stacked).shape == (96, 96, 3 + domain.channels)
    assert str(domain) in str(stacked)
