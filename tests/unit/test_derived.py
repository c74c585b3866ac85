"""What inputs are made of targets: every kind of damage against closed forms and independent implementations."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from kornia.color import rgb_to_lab
from pictures import noise
from PIL import Image
from pydantic import ValidationError
from torch.nn.functional import interpolate

from translate.data import lab
from translate.data.derived.damage import motion
from translate.data.derived.holes import Holes
from translate.data.derived.settings import NAMES, Derive, for_all_time
from translate.data.domain import Domain
from translate.errors import ConfigurationError, ImageError
from translate.inference.derived import with_lightness
from translate.utils.sides import Sides

BOTH = pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
TOP = {np.uint8: 255, np.uint16: 65535}
ALL = {
    "blur": {"sigma": (0.5, 2), "length": (3, 9)},
    "lowres": {"factor": 4, "quality": (40, 90)},
    "noise": {"sigma": (5, 50), "photons": 100, "read": 2},
    "jpeg": {},
    "grey": {},
    "edges": {},
    "tiles": {"side": 16},
    "holes": {"strokes": (1, 3)},
}


def derive(**kinds: object) -> Derive:
    return Derive.model_validate(kinds)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@BOTH
@pytest.mark.parametrize(("by", "weights"), [("rec601", (299, 587, 114)), ("rec709", (2126, 7152, 722))])
def test_luma_is_the_weighted_sum_rounded_to_the_nearest(dtype: type, by: str, weights: tuple[int, ...]) -> None:
    pixels = noise(40, 50, 3, dtype=dtype)
    exact = sum(weight * pixels[..., i].astype(np.int64) for i, weight in enumerate(weights))  # in whole numbers
    whole = sum(weights)
    made = derive(grey={"by": by})(pixels, rng())[..., 0]
    assert made.dtype == dtype and made.shape == (40, 50)
    assert (np.abs(made.astype(np.int64) * whole - exact) * 2 <= whole).all()


def kornias(values: np.ndarray) -> np.ndarray:
    """L*a*b* of sRGB (height, width, 3), 0 to 1, in float64."""
    return rgb_to_lab(torch.from_numpy(values).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()


@BOTH
def test_lightness_is_that_of_kornia(dtype: type) -> None:
    pixels = noise(40, 50, 3, dtype=dtype)
    made = derive(grey={"by": "lab"})(pixels, rng())[..., 0] * (100 / TOP[dtype])
    assert np.abs(made - kornias(pixels / TOP[dtype])[..., 0]).max() < 100 / TOP[dtype] / 2 + 0.01


def test_lab_is_that_of_kornia_and_goes_back() -> None:
    values = rng().random((50, 60, 3))
    ours = lab.lab(lab.linear(values))
    assert np.abs(ours - kornias(values)).max() < 0.05  # whose white is of five digits
    assert np.abs(lab.encoded(lab.light_of(ours)) - values).max() < 1e-9


@BOTH
def test_edges_are_where_an_image_steps(dtype: type) -> None:
    pixels = np.zeros((40, 40, 3), dtype)
    pixels[:, 20:] = TOP[dtype]
    made = derive(edges={})(pixels, rng())
    assert made.dtype == np.uint8 and made.shape == (40, 40, 1)
    dark = np.flatnonzero((made[..., 0] == 0).any(0))
    assert dark.size and ((dark >= 18) & (dark <= 21)).all() and (made[:, dark[0]] == 0).all()


@BOTH
def test_fewer_pixels_are_those_of_an_antialiased_bicubic(dtype: type) -> None:
    pixels = noise(48, 64, 3, dtype=dtype)
    planes = torch.from_numpy(pixels.astype(np.float64)).permute(2, 0, 1)[None]
    theirs = interpolate(planes, size=(12, 16), mode="bicubic", antialias=True)[0].permute(1, 2, 0).numpy()
    made = derive(lowres={"factor": 4})(pixels, rng())
    assert made.dtype == dtype and np.abs(made - theirs.clip(0, TOP[dtype])).max() <= 2 * TOP[dtype] / 255
    assert derive(lowres={"factor": 4, "enlarged": True})(pixels, rng()).shape == pixels.shape


@BOTH
def test_gaussian_noise_has_its_sigma_in_levels_of_255(dtype: type) -> None:
    flat = np.full((200, 200, 3), TOP[dtype] // 2, dtype)
    made = derive(noise={"sigma": 20})(flat, rng()).astype(float) - flat
    assert made.std() * 255 / TOP[dtype] == pytest.approx(20, rel=0.02) and abs(made.mean()) < TOP[dtype] / 1000
    assert abs(np.corrcoef(made[..., 0].ravel(), made[..., 1].ravel())[0, 1]) < 0.02


@BOTH
def test_photons_are_counted_as_poisson_has_it(dtype: type) -> None:
    flat = np.full((200, 200, 1), TOP[dtype] // 2, dtype)
    counts = derive(noise={"photons": 100, "read": 3})(flat, rng()) / TOP[dtype] * 100
    assert counts.mean() == pytest.approx(50, rel=0.01)
    assert counts.var() == pytest.approx(50 + 3**2, rel=0.04)


def test_two_numbers_are_the_ends_of_what_each_image_draws() -> None:
    flat = np.full((64, 64, 1), 128, np.uint8)
    found = [(derive(noise={"sigma": (5, 30)})(flat, rng(seed)) - 128.0).std() for seed in range(40)]
    assert min(found) > 4.5 and max(found) < 31.5 and np.ptp(found) > 15


@BOTH
def test_blur_of_a_point_is_a_gaussian(dtype: type) -> None:
    point = np.zeros((31, 31, 1), dtype)
    point[15, 15] = TOP[dtype]
    made = derive(blur={"sigma": 2})(point, rng())[..., 0] / TOP[dtype]
    along = np.exp(-((np.arange(31) - 15) ** 2) / (2 * 2**2))
    expected = np.outer(along, along) / along.sum() ** 2
    assert np.abs(made - expected).max() < 0.5 / TOP[dtype] + 2e-4


def test_motion_is_a_line_of_its_length() -> None:
    along = np.array([0.125, 0.875, 1, 1, 1, 0.875, 0.125]) / 5  # a box of 5 pixels, shared out between neighbours
    assert np.allclose(motion(5, 0)[3], along, atol=1e-3) and np.allclose(motion(5, 90)[:, 3], along, atol=1e-3)
    assert motion(5, 0).sum() == pytest.approx(1)
    kernel = motion(9, 30).astype(float)
    down, across = np.indices(kernel.shape) - kernel.shape[0] // 2
    variance = (kernel * (down**2 + across**2)).sum()
    assert variance == pytest.approx(9**2 / 12, abs=0.5)  # of a line, and at most a third of sharing pixels out
    angle = np.arctan2(-(kernel * down * across).sum(), (kernel * across**2).sum())
    assert np.degrees(angle) == pytest.approx(30, abs=2)


def test_blur_leaves_flat_images_flat_up_to_the_border() -> None:
    flat = np.full((20, 30, 3), 77, np.uint8)
    assert (derive(blur={"sigma": 3, "length": 9})(flat, rng()) == 77).all()


def test_jpeg_is_pillows() -> None:
    pixels = noise(40, 48, 3)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=30)
    assert (derive(jpeg={"quality": 30})(pixels, rng()) == np.asarray(Image.open(file))).all()


@BOTH
def test_holes_are_grey_and_white_in_the_mask_and_nothing_else_changes(dtype: type) -> None:
    pixels = noise(80, 60, 3, dtype=dtype)
    made = derive(holes={"rectangles": 2, "side": (0.2, 0.4), "strokes": 2})(pixels, rng())
    mask = made[..., 3]
    assert made.shape == (80, 60, 4) and made.dtype == dtype and set(np.unique(mask)) == {0, TOP[dtype]}
    assert (made[mask == 0][:, :3] == pixels[mask == 0]).all()
    assert (made[mask > 0][:, :3] == (TOP[dtype] + 1) // 2).all()


@BOTH
def test_tiles_are_black_each_with_its_probability_and_the_others_as_they_were(dtype: type) -> None:
    pixels = noise(320, 250, 3, dtype=dtype) | np.array(1, dtype)  # none is black
    made = derive(tiles={"side": 8, "share": 0.3})(pixels, rng())
    black = (made == 0).all(2)
    assert made.dtype == dtype and (made[~black] == pixels[~black]).all()
    tiles = black[:, :248].reshape(40, 8, 31, 8).swapaxes(1, 2).reshape(-1, 64)
    assert (tiles.all(1) | ~tiles.any(1)).all() and abs(tiles.all(1).mean() - 0.3) < 0.05
    assert (black[::8, 248:] == black[::8, 248:249]).all(), "what is left of a tile at the border"


def test_a_rectangle_has_its_share_of_the_shorter_side() -> None:
    hole = Holes(rectangles=1, side=0.25).hole(80, 60, rng())
    down, across = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    assert hole.sum() == 15 * 15 and np.ptp(down) == np.ptp(across) == 14


def test_holes_of_the_users_are_stretched_and_refused_without_white(tmp_path: Path) -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[2:5, 2:8] = 255
    Image.fromarray(mask).save(tmp_path / "1.png")
    made = derive(holes={"masks": str(tmp_path)})(noise(40, 20, 3), rng())
    assert (made[8:20, 4:16, 3] == 255).all() and (made[..., 3] > 0).sum() == 12 * 12
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(mask // 255).save(other / "1.png")
    with pytest.raises(ImageError, match=r"1\.png: a mask without a hole"):
        derive(holes={"masks": str(other)})(noise(40, 20, 3), rng())
    with pytest.raises(ConfigurationError, match="no images in it"):
        derive(holes={"masks": str(tmp_path / "empty")} if not (tmp_path / "empty").mkdir() else {})(
            noise(40, 20, 3), rng()
        )


@pytest.mark.parametrize("kind", NAMES)
def test_inputs_follow_from_pixels_and_random_numbers_alone(kind: str) -> None:
    pixels, made = noise(48, 48, 3), derive(**{kind: ALL[kind]})
    kept = pixels.copy()
    first, again, other = (made(pixels, rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all() and (pixels == kept).all()
    assert (first.shape == other.shape and (first == other).all()) == (kind in ("grey", "edges"))
    domain = made.given(Domain("photo", 3, dtype="uint8"), "input")
    assert domain.stored_channels == first.shape[2] and domain.held == first.dtype and domain.name == "input"


def test_a_name_says_the_numbers_of_what_is_measured() -> None:
    one, again, other = (for_all_time(name).random() for name in ("a.png", "a.png", "b.png"))
    assert one == again != other


def test_several_kinds_are_applied_in_their_order() -> None:
    pixels = noise(48, 48, 3)
    both, random = derive(noise={"sigma": 30}, blur={"sigma": 2}), rng()
    blurred = derive(blur={"sigma": 2})(pixels, random)
    assert (both(pixels, rng()) == derive(noise={"sigma": 30})(blurred, random)).all()
    assert both.names == ("damaged", "clean") and derive(grey={}).names == ("grey", "colour")


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({}, "nothing to make inputs by"),
        ({"noise": {}}, "noise of nothing: set sigma or photons"),
        ({"noise": {"sigma": [50, 5]}}, "from 50 to 5"),
        ({"noise": {"sigma": [1, 2, 3]}}, "one number, or two"),
        ({"noise": {"read": 3, "sigma": 1}}, "set photons, or sigma"),
        ({"blur": {}}, "blur of nothing: set sigma or length"),
        ({"holes": {"rectangles": 0}}, "no hole"),
        ({"edges": {"low": 300}}, "low is the smaller one"),
        ({"grey": {}, "edges": {}}, "leave grey out"),
        ({"lowres": {"factor": 1}}, "greater than or equal to 2"),
        ({"jpeg": {"quality": 0}}, "greater than or equal to 1"),
        ({"snow": {}}, "Extra inputs"),
    ],
)
def test_impossible_settings_are_refused(kinds: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        derive(**kinds)


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        ("grey", Domain("photo", 1, dtype="uint8"), "grey is made of RGB, and the images are 8-bit grey"),
        ("jpeg", Domain("photo", 3, dtype="uint16"), "JPEG holds 8 bits"),
        ("noise", Domain("map", 5, dtype="uint8", kind="labels"), "made of photos, and map holds label maps"),
    ],
)
def test_targets_that_no_input_is_made_of_are_refused(kind: str, target: Domain, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        derive(**{kind: ALL[kind]}).given(target, "input")


def test_a_crop_has_to_shrink_to_whole_pixels() -> None:
    made = derive(lowres={"factor": 3})
    made.require_crop(Sides(96, 96))
    with pytest.raises(ConfigurationError, match=r"set data\.size=63"):
        made.require_crop(Sides(64, 64))


@BOTH
@pytest.mark.parametrize("by", ["rec601", "lab"])
def test_colours_at_another_lightness_have_it_up_to_the_rounding(dtype: type, by: str) -> None:
    made, shades = noise(40, 50, 3, dtype=dtype), noise(40, 50, 1, dtype=dtype)
    kept = with_lightness(made, shades, by)
    grey = shades[..., 0] / TOP[dtype]
    wanted = grey * 100 if by == "lab" else kornias(np.repeat(grey[..., None], 3, 2))[..., 0]
    least, most = (kornias(((kept + half) / TOP[dtype]).clip(0, 1))[..., 0] for half in (-0.5, 0.5))
    assert kept.dtype == dtype and (least - 0.01 <= wanted).all() and (wanted <= most + 0.01).all()
    pale = np.full_like(made, TOP[dtype] // 2) + noise(40, 50, 3, dtype=dtype) // 20
    middle = np.full_like(shades, TOP[dtype] // 2)
    before, after = (kornias(image / TOP[dtype]) for image in (pale, with_lightness(pale, middle, "rec601")))
    assert np.abs(before[..., 1:] - after[..., 1:]).max() < 250 / TOP[dtype] + 0.02, "colours that fit stay"
