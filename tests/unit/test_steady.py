"""Steadied clips, against closed forms: what exponential blending does to noise, and to a cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from translate.inference.steady import SMALLEST, Steady, along, motion

rng = np.random.default_rng(0)


def texture(side: int) -> np.ndarray:
    """A picture with something to see everywhere, (side, side, 3) uint8."""
    return cv2.resize(rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8), (side, side), interpolation=2)


def noisy(count: int, side: int, sigma: float) -> list[np.ndarray]:
    return [
        np.clip(np.rint(128 + rng.normal(0, sigma, (side, side, 3))), 0, 255).astype(np.uint8) for _ in range(count)
    ]


@pytest.mark.parametrize("strength", [0.0, 0.5, 0.8])
@pytest.mark.parametrize("side", [SMALLEST - 2, 64])
def test_noise_of_a_clip_that_stands_still_falls_as_an_exponential_average_lets_it(strength: float, side: int) -> None:
    """Differences of neighbours of an exponential average have (1 - a) / sqrt(1 + a) of those of the noise."""
    steady, still = Steady(strength), texture(64)[:side, :side]
    for made in noisy(60, side, 8.0):
        steady(still, made)
    flicker = steady.flicker
    assert flicker.own == 0
    assert flicker.translated == pytest.approx(8 * 2 / np.sqrt(np.pi) / 255, rel=0.02)  # E|x - y| of two normals
    wanted = (1 - strength) / np.sqrt(1 + strength) * flicker.translated
    assert flicker.written == pytest.approx(wanted, rel=0.05)


def test_the_first_frame_and_one_behind_a_cut_are_the_translations_themselves() -> None:
    steady, made = Steady(), noisy(2, 64, 30)
    dark, bright = np.full((64, 64, 3), 20, np.uint8), np.full((64, 64, 3), 220, np.uint8)
    np.testing.assert_array_equal(steady(dark, made[0]), made[0])
    np.testing.assert_array_equal(steady(bright, made[1]), made[1])
    assert steady.flicker.frames == 0, "nothing of the same was seen"


def test_what_moves_is_followed() -> None:
    """A translation that moves with its input does not flicker, and is not smeared."""
    scene, steady, errors = texture(128), Steady(0.9), []
    for shift in range(12):
        frame = scene[shift : shift + 64, 2 * shift : 2 * shift + 64]
        written = steady(frame, 255 - frame)
        errors.append(np.abs(written[8:-8, 8:-8].astype(float) - (255 - frame[8:-8, 8:-8])).mean())
    assert max(errors) < 3, "a picture that is averaged where it stood differs by dozens of levels"


def test_motion_is_where_a_pixel_was_before() -> None:
    scene = texture(128)
    before, now = scene[20:84, 20:84], scene[22:86, 23:87]
    found = motion(now, before)[12:-12, 12:-12]
    assert np.abs(found - [3, 2]).mean() < 0.3
    moved = along(np.broadcast_to(np.float32([3, 2]), (64, 64, 2)))(before.astype(np.float32))
    np.testing.assert_allclose(moved[:-4, :-4], now[:-4, :-4], atol=0.5)


def test_an_enlarged_clip_is_steadied_as_its_enlarged_input_moves() -> None:
    scene, steady, errors = texture(128), Steady(0.9), []
    for shift in range(8):
        frame = scene[shift : shift + 64, 2 * shift : 2 * shift + 64]
        large = 255 - cv2.resize(frame, (128, 128), interpolation=cv2.INTER_CUBIC)
        written = steady(frame, large)
        errors.append(np.abs(written[16:-16, 16:-16].astype(float) - large[16:-16, 16:-16]).mean())
    assert written.shape == (128, 128, 3) and max(errors) < 3
