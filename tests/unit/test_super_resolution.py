"""The generator that enlarges: as many weights as published, bicubic as Pillow has it, the same in bands and graphs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from translate.inference.fitting import Fitting
from translate.inference.tiling.banded import convert_banded
from translate.models.larger import in_blocks, reduced
from translate.networks import BicubicEnlargement, SRResnetGenerator
from translate.networks.srresnet import SRResnetSettings
from translate.training.runtime import Runtime

CPU = Runtime(torch.device("cpu"))
SCALES = (2, 3, 4, 8)


def small(**options: object) -> SRResnetGenerator:
    return SRResnetGenerator(3, 3, **{"filters": 4, "blocks": 2, **options})


def lively(network: nn.Module) -> nn.Module:
    """With weights that make every layer count."""
    torch.manual_seed(0)
    for weight in network.parameters():
        nn.init.normal_(weight, 0, 0.2)
    return network


@pytest.mark.parametrize(("scale", "published"), [(2, 1_369_859), (3, 1_554_499), (4, 1_517_571)])
def test_the_default_has_as_many_weights_as_edsrs_baseline(scale: int, published: int) -> None:
    """The 1.37, 1.55 and 1.52 million of Lim et al.'s repository, counted by hand as well."""
    with torch.device("meta"):
        network = SRResnetSettings(scale=scale).build(3, 64)
    conv = lambda inputs, outputs: 9 * inputs * outputs + outputs  # noqa: E731
    body = 16 * 2 * conv(64, 64) + conv(64, 64)
    up = {2: conv(64, 256), 3: conv(64, 576), 4: 2 * conv(64, 256)}[scale]
    assert conv(3, 64) + body + up + conv(64, 3) == published
    assert sum(weight.numel() for weight in network.parameters()) == published


def test_it_is_the_published_sequence() -> None:
    """Against plain torch, layer by layer."""
    network = lively(small(blocks=1, scale=4))
    images = torch.rand(2, 3, 7, 9) * 2 - 1

    def conv(features: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
        return F.conv2d(features, layer.weight, layer.bias, padding=1)

    first, block = conv(images, network.stem), network.body[0]
    inner = first + conv(conv(first, block.conv1).relu(), block.conv2)
    x = first + conv(inner, network.after.conv)
    for up in network.up:
        x = F.pixel_shuffle(conv(x, up.conv), 2)
    expected = (conv(x, network.head) + network.enlarged(images)).clamp(-1, 1)
    torch.testing.assert_close(network(images), expected, rtol=1e-5, atol=1e-5)
    plain = small(blocks=1, scale=4, bicubic=False)
    plain.load_state_dict(network.state_dict())
    torch.testing.assert_close(plain(images), conv(x, network.head).clamp(-1, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_bicubic_is_pillows_away_from_the_edge(scale: int) -> None:
    images = torch.rand(2, 3, 11, 14, generator=torch.Generator().manual_seed(0))
    found = BicubicEnlargement(scale)(images)
    assert found.shape == (2, 3, 11 * scale, 14 * scale)
    size = (14 * scale, 11 * scale)
    planes = images.flatten(0, 1).numpy()
    pillows = np.stack([np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC)) for plane in planes])
    inner = slice(2 * scale, -2 * scale)
    apart = (found.flatten(0, 1) - torch.from_numpy(pillows))[:, inner, inner]
    assert apart.abs().max() < 1e-6


@pytest.mark.parametrize("scale", SCALES)
def test_bicubic_keeps_flat_areas_everywhere_and_slopes_inside(scale: int) -> None:
    network = BicubicEnlargement(scale).double()
    network.kernel = BicubicEnlargement(scale).kernel.double()
    flat = torch.full((1, 1, 6, 6), 0.37, dtype=torch.float64)
    torch.testing.assert_close(
        network(flat), torch.full((1, 1, 6 * scale, 6 * scale), 0.37).double(), atol=1e-7, rtol=0
    )
    slope = torch.arange(12.0, dtype=torch.float64).expand(1, 1, 12, 12)
    places = (torch.arange(12.0 * scale, dtype=torch.float64) + 0.5) / scale - 0.5
    inner = slice(2 * scale, -2 * scale)
    torch.testing.assert_close(network(slope)[0, 0, 0, inner], places[inner], atol=1e-6, rtol=0)


def test_it_starts_near_the_bicubic_enlargement() -> None:
    torch.manual_seed(0)
    network = SRResnetSettings(filters=16, blocks=2).initialised(3, 64)
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    apart = network(images) - BicubicEnlargement(4)(images).clamp(-1, 1)
    assert 0 < apart.abs().max() < 0.01


@pytest.mark.parametrize("options", [{"normalisation": "instance"}, {"padding": "reflect"}, {"scale": 3}, {"scale": 8}])
def test_every_weight_trains_whatever_the_options(options: dict) -> None:
    network = lively(small(**options))
    network(torch.rand(2, 3, 8, 10) * 0.2).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name
        assert name.endswith("bias") or weight.grad.abs().max() > 0, name


def test_recomputed_activations_give_the_same_gradients() -> None:
    found = []
    for checkpointing in (False, True):
        network = lively(small(checkpointing=checkpointing)).train()
        network(torch.full((1, 3, 8, 8), 0.1)).sum().backward()
        found.append([weight.grad for weight in network.parameters()])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(plain, again)


@pytest.mark.parametrize("rows", [1, 5, 64])
@pytest.mark.parametrize(
    "options", [{"scale": 2}, {"scale": 3}, {"scale": 4, "normalisation": "instance"}, {"scale": 8}]
)
def test_bands_of_rows_give_the_same_pixels(options: dict, rows: int) -> None:
    network = lively(small(**options)).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (19, 17, 3), dtype=np.uint8)
    fitting = Fitting(lambda images: network(images), 3, 1, CPU, tile=rows, scale=network.scale)
    with torch.no_grad():
        banded = convert_banded(network, pixels, 19, 17, fitting.bands(19, 17), scale=network.scale)
        floats = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        whole = ((network(floats) + 1) * 127.5).round().clamp(0, 255)[0].permute(1, 2, 0).numpy()
    assert banded.shape == (19 * network.scale, 17 * network.scale, 3)
    assert np.abs(banded.astype(int) - whole).max() <= 1
    assert whole.std() > 10, "the case that is meant"


def test_what_fits_is_decided_by_the_translation() -> None:
    """A picture of a quarter of a megapixel has four megapixels when its sides are four times as long."""
    asked = []

    def run(images: torch.Tensor) -> torch.Tensor:
        asked.append(images.shape)
        return images

    Fitting(run, 3, 1, CPU).bands(512, 512)
    assert not asked
    Fitting(run, 3, 1, CPU, scale=4).bands(512, 512)
    assert asked


def test_half_precision_keeps_the_bits_of_the_input() -> None:
    """The enlarged input is added in float32, as bf16 would hold fewer levels than its 8 bits."""
    network = small().eval()
    nn.init.zeros_(network.head.weight), nn.init.zeros_(network.head.bias)
    images = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, BicubicEnlargement(4)(images).clamp(-1, 1), rtol=0, atol=1e-6)


def test_blocks_and_their_means_are_each_others_way_back() -> None:
    images = torch.rand(2, 3, 5, 4)
    torch.testing.assert_close(reduced(in_blocks(images, 4), 4), images)
    assert in_blocks(images, 1) is images and reduced(images, 1) is images
