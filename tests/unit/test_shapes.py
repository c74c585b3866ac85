"""The `shapes` set: its styles differ, nothing cheap translates them, and the files are right."""

import numpy as np
import pytest
import torch
from PIL import Image

from translate.data.layouts.folders import open_folder
from translate.data.synthetic import shapes
from translate.data.synthetic.scenes import MOST, compose
from translate.data.synthetic.shapes import DEFAULT_PAIR, STYLES, render, render_set
from translate.errors import ConfigurationError
from translate.evaluation.colour_map import apply_affine_colour, fit_affine_colour
from translate.evaluation.metrics import absolute_error

SCENES = 200


@pytest.fixture(scope="module")
def pictures() -> dict[str, torch.Tensor]:
    """The same scenes in every style: (scenes, 3, 32, 32) in [-1, 1]."""
    return {style: as_images(range(SCENES), style, 32) for style in STYLES}


def as_images(scenes, style: str, size: int) -> torch.Tensor:
    stack = np.stack([render(scene, style, size) for scene in scenes])
    return torch.from_numpy(stack).permute(0, 3, 1, 2) / 127.5 - 1


def test_a_scene_is_a_pure_function_of_its_number():
    again = render(7, "outlined", 40)
    assert again.shape == (40, 40, 3) and again.dtype == np.uint8
    assert np.array_equal(render(7, "outlined", 40), again)
    assert not np.array_equal(render(8, "outlined", 40), again)


def test_scenes_hold_one_to_four_shapes_that_keep_clear_of_each_other():
    grid = np.stack(np.meshgrid(*[(np.arange(100) + 0.5) / 100] * 2), -1)
    covered = []
    for number in range(60):
        depths = [shape.depth(grid) for shape in compose(number).shapes]
        assert 1 <= len(depths) <= MOST
        assert (np.stack(depths) > 0).sum(0).max() == 1
        covered.append((np.stack(depths) > 0).any(0).mean())
    assert 0.3 < np.mean(covered) < 0.5


@pytest.mark.parametrize("style", STYLES)
def test_neither_mean_colour_nor_contrast_gives_a_style_away(pictures, style):
    means = {name: images.mean((0, 2, 3)) * 127.5 for name, images in pictures.items()}
    spreads = {name: images.std((0, 2, 3)) for name, images in pictures.items()}
    shift = means[style] - means["flat"]  # of 255
    assert shift.mean().abs() < 1
    assert shift.abs().max() < 2  # the hues of 200 scenes leave chance in single channels: about 0.6 of 255
    assert (spreads[style] / spreads["flat"] - 1).abs().max() < 0.25


@pytest.mark.parametrize("a", STYLES)
@pytest.mark.parametrize("b", STYLES)
def test_styles_differ_and_no_colour_map_translates_them(pictures, a, b):
    if a == b:
        return
    untouched = absolute_error(pictures[a], pictures[b])
    mapped = apply_affine_colour(pictures[a], fit_affine_colour(pictures[a], pictures[b])).clamp(-1, 1)
    assert 0.04 < untouched < 0.2
    assert absolute_error(mapped, pictures[b]) > 0.85 * untouched


@pytest.mark.parametrize("size", [32, 48, 64, 128])
def test_the_default_pair_is_far_apart_at_every_size(size):
    a, b = (as_images(range(40), style, size) for style in DEFAULT_PAIR)
    assert 0.06 < absolute_error(a, b) < 0.12


@pytest.mark.parametrize("style", STYLES)
def test_a_style_changes_the_neighbourhood_of_edges_only(style):
    size, reach = 96, 0.18
    centres = (np.arange(size) + 0.5) / size
    points = np.stack(np.meshgrid(centres, centres), -1)
    for number in range(10):
        changed = (render(number, style, size) != render(number, "flat", size)).any(-1)
        far = np.all([np.abs(shape.depth(points)) > reach for shape in compose(number).shapes], axis=0)
        assert not (changed & far).any()
        assert changed.any() == (style != "flat")


def test_lengths_scale_with_the_size():
    small = render(3, "outlined", 64).astype(float)
    large = render(3, "outlined", 256).astype(float).reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert np.abs(small - large).mean() < 2  # of 255


def test_edges_are_antialiased_and_lines_are_dark_then_bright():
    """From the edge of a disc inwards: a darker line, a brighter one, the fill."""
    number, disc = next(
        (number, shape) for number in range(50) for shape in compose(number).shapes if len(shape.normals) == 64
    )
    size = 512
    centres = (np.arange(size) + 0.5) / size
    depth = disc.depth(np.stack(np.meshgrid(centres, centres), -1))
    picture = render(number, "outlined", size) / 255

    def at(inside: float) -> np.ndarray:
        return picture[np.abs(depth - inside * shapes.STROKE) < 0.003].mean(0)

    np.testing.assert_allclose(at(0.5), disc.fill * 0.3, atol=0.01)
    np.testing.assert_allclose(at(1.5), disc.fill * 0.3 + 0.7, atol=0.01)
    np.testing.assert_allclose(at(2.6), disc.fill, atol=0.01)


def test_unpaired_sets_train_on_different_scenes_and_test_on_the_same(tmp_path):
    root = render_set(tmp_path / "set", view="unpaired", size=32, train=4, test=3, seed=2)
    names = {
        split: sorted(p.name for p in (root / split).iterdir()) for split in ("trainA", "trainB", "testA", "testB")
    }
    assert {split: len(found) for split, found in names.items()} == {
        "trainA": 4,
        "trainB": 4,
        "testA": 3,
        "testB": 3,
    }
    assert not set(names["trainA"]) & set(names["trainB"]) and names["testA"] == names["testB"]
    assert not set(names["testA"]) & {*names["trainA"], *names["trainB"]}
    folder = open_folder(root, wanted="unpaired")
    assert folder.domains == DEFAULT_PAIR and folder.test_is_paired
    assert [len(domain) for domain in folder.splits["train"]] == [4, 4]
    first = 2 * shapes.SCENES_OF_A_SEED
    for domain, style in enumerate(DEFAULT_PAIR):
        for i, source in enumerate(folder.splits["test"][domain]):
            assert np.array_equal(source.read(3), render(first + 8 + i, style, 32))


def test_paired_sets_show_every_scene_in_both_styles(tmp_path):
    root = render_set(tmp_path / "set", view="paired", styles=("haloed", "banded"), size=32, train=5, test=2)
    folder = open_folder(root, wanted="paired")
    assert folder.domains == ("haloed", "banded")
    for split, length in (("train", 5), ("test", 2)):
        a, b = folder.splits[split]
        assert [s.path.name for s in a] == [s.path.name for s in b] and len(a) == length
    assert np.array_equal(folder.splits["train"][1][0].read(3), render(0, "banded", 32))


def test_labelled_sets_have_a_folder_for_each_style(tmp_path):
    root = render_set(tmp_path / "set", view="labelled", styles=STYLES, size=32, train=1, test=1)
    assert sorted(p.name for p in (root / "train").iterdir()) == sorted(STYLES)
    for style in STYLES:
        (path,) = (root / "test" / style).iterdir()
        assert np.array_equal(np.asarray(Image.open(path)), render(int(path.stem), style, 32))


def test_a_whole_folder_is_taken_as_it_is_and_another_refused(tmp_path):
    root = render_set(tmp_path / "set", view="unpaired", size=32, train=1, test=1)
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    assert render_set(tmp_path / "set", view="unpaired", size=32, train=1, test=1) == root
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
    with pytest.raises(ConfigurationError, match="2 to train on"):
        render_set(tmp_path / "set", view="unpaired", size=32, train=2, test=1)
    (tmp_path / "mine").mkdir()
    with pytest.raises(ConfigurationError, match="in the way"):
        render_set(tmp_path / "mine", view="unpaired", size=32, train=1, test=1)


def test_a_rendering_that_is_cut_short_leaves_no_folder(tmp_path, monkeypatch):
    drawn = []

    def tired(*arguments):
        drawn.append(arguments)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return render(*arguments)

    monkeypatch.setattr(shapes, "render", tired)
    with pytest.raises(KeyboardInterrupt):
        render_set(tmp_path / "set", view="paired", size=32, train=2, test=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"styles": ("flat", "outlinde")}, "did you mean 'outlined'"),
        ({"styles": ("flat", "flat")}, "two different styles"),
        ({"styles": STYLES}, "two different styles"),
        ({"size": 16}, "32 to 256"),
        ({"test": 0}, "at least 1"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_wrong_numbers_are_refused(tmp_path, wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        render_set(tmp_path / "set", view="unpaired", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_label_maps_say_which_shape_a_pixel_lies_in(tmp_path):
    root = render_set(tmp_path / "set", view="paired", styles=("classes", "flat"), size=48, train=20, test=1)
    (maps, photos), seen = open_folder(root, wanted="paired").splits["train"], set()
    for number, (map_, photo) in enumerate(zip(maps, photos, strict=True)):
        found, picture = map_.read(1)[..., 0], photo.read(3).astype(int)
        for shape in compose(number).shapes:
            x, y = (np.linalg.lstsq(shape.normals, shape.reach, rcond=None)[0] * 48).astype(int)
            if 0 <= x < 48 and 0 <= y < 48:
                assert found[y, x] == {3: 1, 4: 2}.get(len(shape.reach), 3)
                assert np.abs(picture[y, x] - shape.fill * 255).max() < 2
        seen |= set(np.unique(found).tolist())
    assert seen == {0, 1, 2, 3}
    with pytest.raises(ConfigurationError, match="no style 'classes'"):
        render_set(tmp_path / "no", view="unpaired", styles=("classes", "flat"), size=48)
