"""Palettes of `shapes`: the known truth of diversity."""

from collections import Counter

import numpy as np
import pytest

from translate.data.synthetic.palettes import coverage, drawn_palette, hues_of, in_palette, palettes_seen
from translate.data.synthetic.scenes import compose
from translate.data.synthetic.shapes import draw, render, render_set
from translate.errors import ConfigurationError

STYLE, COUNT = "outlined", 4


def drawn_in(scene: int, number: int) -> np.ndarray:
    return draw(in_palette(compose(scene), STYLE, COUNT, number), STYLE, 64)


def test_every_palette_is_seen_for_what_it_is_and_others_are_none() -> None:
    wrong = [
        (scene, number)
        for scene in range(12)
        for number in range(COUNT)
        if palettes_seen([drawn_in(scene, number)], STYLE, COUNT) != [number]
    ]
    assert not wrong
    grey = np.full((8, 8, 3), 128, np.uint8)
    between = drawn_in(0, 0)[..., [1, 0, 2]]
    assert palettes_seen([grey], STYLE, COUNT) == [None]
    assert palettes_seen([between], STYLE, COUNT) != [0]


def test_coverage_counts_palettes_once_each_and_none_not_at_all() -> None:
    one, two = drawn_in(3, 0), drawn_in(3, 2)
    grey = np.full((8, 8, 3), 128, np.uint8)
    assert coverage([one] * 10, STYLE, COUNT) == 0.25
    assert coverage([one, two] * 5, STYLE, COUNT) == 0.5
    assert coverage([grey] * 10, STYLE, COUNT) == 0


def test_palettes_are_spread_evenly_differ_between_styles_and_come_equally_often() -> None:
    hues = np.sort(hues_of(STYLE, COUNT))
    assert np.allclose(np.diff(hues), np.pi / 2)
    assert not np.allclose(np.sort(hues_of("haloed", COUNT)), hues, atol=0.05)
    counts = Counter(drawn_palette(scene, STYLE, COUNT) for scene in range(400))
    assert all(abs(counts[number] - 100) < 35 for number in range(COUNT)), counts  # four standard deviations


def test_brightness_ground_and_outlines_are_those_of_the_scene() -> None:
    scene = compose(5)
    coloured = in_palette(scene, STYLE, COUNT, 1)
    assert [shape.fill.mean() for shape in coloured.shapes] == pytest.approx(
        [shape.fill.mean() for shape in scene.shapes]
    )
    apart = np.abs(draw(scene, STYLE, 64).astype(int) - draw(coloured, STYLE, 64)).sum(2)
    assert (apart == 0).mean() > 0.3, "the ground stays as it is"


def test_a_set_with_palettes_says_so_and_promises_no_truth(tmp_path) -> None:
    folder = tmp_path / "set"
    render_set(folder, view="labelled", styles=("outlined", "haloed"), size=32, train=2, test=1, palettes=3)
    said = (folder / "dataset.yaml").read_text()
    assert "3 palettes each" in said and "test_paired" not in said
    assert render(0, STYLE, 32, 3).tolist() != render(0, STYLE, 32).tolist()
    with pytest.raises(ConfigurationError, match=r"set data\.shapes\.palettes=0"):
        render_set(tmp_path / "pairs", view="paired", palettes=3)
    with pytest.raises(ConfigurationError, match=r"set data\.shapes\.pairs=0"):
        render_set(tmp_path / "some", view="unpaired", pairs=2, palettes=3)
