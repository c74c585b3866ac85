"""Where pixels lie on Earth once each has become several: the corners of the image stay where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from torch import Tensor

from translate.data.io.place import KEYS, RPC, SCALES, TIES, TRANSFORMATION, enlarged
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.training.runtime import Runtime

AREA, POINT = ((1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, kind) for kind in (1, 2))
TIMES = (2, 3, 4, 8)


def on_earth(tags: dict, column: float, row: float) -> np.ndarray:
    """Where a place in the image lies, counted in pixels from the image's corner, by the definitions of GeoTIFF 1.1."""
    points = tags.get(KEYS) == POINT
    at = np.array([column, row]) - (0.5 if points else 0.0)  # what the tags count from
    if TRANSFORMATION in tags:
        matrix = np.array(tags[TRANSFORMATION]).reshape(4, 4)
        return (matrix @ np.array([*at, 0, 1]))[:2]
    i, j, _, x, y, _ = tags[TIES][:6]
    size = np.array(tags[SCALES])
    return np.array([x + (at[0] - i) * size[0], y - (at[1] - j) * size[1]])


TIED = {SCALES: (10.0, 12.5, 0.0), TIES: (3.0, 2.0, 0.0, 5e5, 4e6, 0.0)}
TURNED = {TRANSFORMATION: (8.0, -3.0, 0.0, 5e5, 2.5, -9.0, 0.0, 4e6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)}


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("keys", [AREA, POINT], ids=["areas", "points"])
@pytest.mark.parametrize("tags", [TIED, TURNED], ids=["tied", "turned"])
def test_every_place_of_the_image_stays_on_earth(tags: dict, keys: tuple, times: int) -> None:
    before = tags | {KEYS: keys}
    after = before | enlarged(before, times)
    for column, row in ((0, 0), (7, 0), (0, 5), (3.25, 4.5)):
        np.testing.assert_allclose(
            on_earth(after, column * times, row * times), on_earth(before, column, row), rtol=0, atol=1e-6
        )
    for tag, value in enlarged(before, 1).items():
        np.testing.assert_allclose(value, before[tag])


def test_rational_polynomials_take_the_same_ground_to_the_same_place() -> None:
    """Line and sample, normalised by offset and scale, are what the polynomials give: that may not change."""
    numbers = [-1.0, -1.0, 40.0, 60.0, 10.0, 20.0, 0.0, 40.0, 60.0, 1.0, 1.0, 500.0, *range(80)]
    found = enlarged({RPC: numbers}, 4)[RPC]
    assert found[9:] == (1.0, 1.0, 500.0, *range(80)) and found[4:7] == (10.0, 20.0, 0.0)
    for line in (0.0, 12.0, 79.0):  # counted to the middle of pixels
        normal = (line - numbers[2]) / numbers[7]
        middle = (line + 0.5) * 4 - 0.5
        assert (middle - found[2]) / found[7] == pytest.approx(normal)


def test_paper_keeps_its_size() -> None:
    assert enlarged({282: 300.0, 283: 150.0}, 4) == {282: 1200.0, 283: 600.0}
    assert enlarged({271: "camera"}, 4) == {}


class Blocks(ImageTranslator):
    stride, scale = 1, 4

    def translate(self, images: Tensor, request: Request) -> Tensor:
        return torch.nn.functional.interpolate(images, scale_factor=4, mode="nearest")

    def targets(self) -> list[int]:
        return [1]


@pytest.mark.parametrize("way", [TIED, TURNED], ids=["tied", "turned"])
def test_a_converted_geotiff_lies_where_its_input_lies(tmp_path: Path, way: dict) -> None:
    counts = {SCALES: 3, TIES: 6, TRANSFORMATION: 16}
    tags = [(tag, "d", counts[tag], value, True) for tag, value in way.items()] + [(KEYS, "H", 12, POINT, True)]
    pixels = np.random.default_rng(0).integers(0, 4000, (6, 9), dtype=np.uint16)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "x.tif", pixels, metadata=None, extratags=tags, resolution=(100, 100))
    converter = Converter(Blocks(), ImageSpec(1, 16, ("low", "high")), Runtime(torch.device("cpu")))
    outcome = convert_folder(converter, plan(tmp_path / "in", tmp_path / "out"), Request.to(1), OutputOptions())
    assert outcome.counts["written"] == 1 and not outcome.noted
    with tifffile.TiffFile(tmp_path / "out" / "x.tif") as file:
        page = file.pages[0]
        after = {tag: tuple(page.tags[tag].value) for tag in (*way, KEYS)}
        assert np.array_equal(page.asarray(), pixels.repeat(4, 0).repeat(4, 1))
        assert page.tags[282].value[0] / page.tags[282].value[1] == 400
    before = way | {KEYS: POINT}
    for column, row in ((0, 0), (9, 6), (4.5, 1.25)):
        np.testing.assert_allclose(on_earth(after, 4 * column, 4 * row), on_earth(before, column, row), atol=1e-6)
