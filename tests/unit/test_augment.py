import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import numpy as np
import pytest
from pydantic import ValidationError

from translate.data import augment
from translate.data.augment import GEOMETRY, PHOTOMETRY, Augmentation, Augmenter
from translate.data.crops import Crop, Cropped, pixels_of
from translate.errors import ConfigurationError
from translate.utils.sides import Sides

# What does nothing unless told what to do, or nothing that these pictures show.
TOLD = {"Affine": {"rotate": [-30, 30]}, "Downscale": {"scale_range": [0.3, 0.4]}}


def picture(seed: int = 0, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    """A smooth picture, for noise would hide what a transform does."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((4, 4, channels))
    return (np.kron(coarse, np.ones((8, 8, 1))) * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("name", GEOMETRY)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_geometry_moves_both_images_of_a_pair_alike(name, dtype):
    augmenter = Augmenter([Augmentation(name=name, p=1.0, **TOLD.get(name, {}))])
    image = picture(dtype=dtype)
    other = image[..., ::-1].copy()  # channels reversed: the same places, other colours
    outcomes = [augmenter([image, other], seed) for seed in range(6)]
    assert any(not np.array_equal(first, image) for first, _ in outcomes)
    for first, second in outcomes:
        assert first.shape == image.shape and first.dtype == dtype
        np.testing.assert_array_equal(first, second[..., ::-1])


@pytest.mark.parametrize("name", PHOTOMETRY)
def test_photometry_never_touches_the_target(name):
    augmenter = Augmenter([Augmentation(name=name, p=1.0, **TOLD.get(name, {}))])
    image, target = picture(0), picture(1)
    outcomes = [augmenter([image, target], seed) for seed in range(6)]
    assert any(not np.array_equal(first, image) for first, _ in outcomes)
    for first, second in outcomes:
        assert first.shape == image.shape and first.dtype == np.uint8
        assert np.array_equal(second, target)


def test_the_seed_decides_whatever_was_drawn_before():
    recipe = [Augmentation(name="Rotate", p=0.7), Augmentation(name="GaussNoise", p=0.7)]
    augmenter = Augmenter(recipe)
    first = [augmenter([picture()], seed)[0] for seed in range(8)]
    again = [Augmenter(recipe)([picture()], seed)[0] for seed in reversed(range(8))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({image.tobytes() for image in first}) > 4


def test_threads_do_not_disturb_one_another():
    augmenter = Augmenter([Augmentation(name="Rotate", p=0.8), Augmentation(name="ColorJitter", p=0.8)])
    alone = [augmenter([picture(), picture(1)], seed) for seed in range(200)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns as often as they can
    try:
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda seed: augmenter([picture(), picture(1)], seed), range(200)))
    finally:
        sys.setswitchinterval(interval)
    for one, other in zip(alone, together, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_sixteen_bits_keep_their_depth():
    ramp = np.arange(256 * 256, dtype=np.uint16).reshape(256, 256, 1)  # every value there is
    mirrored = Augmenter([Augmentation(name="VerticalFlip", p=1.0)])([ramp], 0)[0]
    np.testing.assert_array_equal(mirrored, ramp[::-1])


def test_what_rotation_uncovers_is_mirrored_unless_told_otherwise():
    white = np.full((32, 32, 3), 255, np.uint8)
    assert Augmenter([Augmentation(name="Rotate", p=1.0, limit=[45, 45])])([white], 0)[0].min() == 255
    assert Augmenter([Augmentation(name="Rotate", p=1.0, limit=[45, 45], border_mode=0)])([white], 0)[0].min() == 0


def test_probability_zero_changes_nothing():
    augmenter = Augmenter([Augmentation(name=name, p=0) for name in ("Rotate", "GaussNoise")])
    assert all(np.array_equal(augmenter([picture()], seed)[0], picture()) for seed in range(10))


def test_an_unknown_name_is_answered_by_the_nearest():
    with pytest.raises(ValidationError, match="did you mean 'ColorJitter'"):
        Augmentation(name="ColourJitter")
    with pytest.raises(ValidationError, match="known: Affine"):
        Augmentation(name="Normalize")


def test_wrong_arguments_are_refused_before_anything_starts():
    with pytest.raises(ConfigurationError, match="Rotate has no 'limt'"):
        Augmenter([Augmentation(name="Rotate", limt=3)])
    with pytest.raises(ConfigurationError, match="GaussNoise"):
        Augmenter([Augmentation(name="GaussNoise", std_range=[0.1, 5])])
    with pytest.raises(ValidationError):
        Augmentation(name="Rotate", p=1.5)


def test_a_transform_for_other_channels_is_named():
    with pytest.raises(ConfigurationError, match=r"ISONoise: .* 1 channels"):
        Augmenter([Augmentation(name="ISONoise", p=1.0)])([picture(channels=1)], 0)


def test_settings_survive_json():
    before = Augmentation(name="Affine", p=0.3, rotate=[-10, 10], scale=1.1)
    assert Augmentation.model_validate_json(before.model_dump_json()) == before
    assert before.arguments == {"rotate": [-10, 10], "scale": 1.1}


def test_the_successor_under_the_agpl_is_refused(monkeypatch):
    real = metadata.distribution
    monkeypatch.setattr(metadata, "distribution", lambda name: None if name == "albumentationsx" else real(name))
    with pytest.raises(ConfigurationError, match="AGPL"):
        Augmenter([Augmentation(name="Rotate")])


def test_importing_the_library_asks_no_network(monkeypatch):
    monkeypatch.delenv("NO_ALBUMENTATIONS_UPDATE", raising=False)
    augment.albumentations()
    assert augment.os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"
    assert "albumentations" in sys.modules


def test_crop_and_flip():
    image = np.arange(5 * 6 * 1).reshape(5, 6, 1)
    upright, mirrored = (
        pixels_of(Cropped(image, Crop(1, 2, flip, seed=0)), Sides(3, 3))[..., 0] for flip in (False, True)
    )
    assert upright.tolist() == [[8, 9, 10], [14, 15, 16], [20, 21, 22]]
    assert mirrored.tolist() == [[10, 9, 8], [16, 15, 14], [22, 21, 20]]
