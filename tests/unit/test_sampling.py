"""Folders of samples: names, classes, points, grids."""

import numpy as np
import pytest
import torch
from tiny_samplers import POINTS, SPEC, model_of

from translate.data.io.images import read
from translate.errors import ConfigurationError
from translate.inference.sampling import class_number, draw_samples, sample_folder, tile
from translate.models.base import ImageSpec
from translate.models.cgan import CGAN
from translate.models.gan import GAN


def _pixels(path):
    return read(path).pixels


def test_a_folder_of_samples_is_what_the_model_draws(tmp_path):
    model = model_of(GAN)
    paths = sample_folder(model, tmp_path / "out", 3, seed=4)
    assert paths == [tmp_path / "out" / f"{index:05d}.png" for index in range(3)]
    expected = ((draw_samples(model, 3, seed=4) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    assert all(np.array_equal(_pixels(path), image) for path, image in zip(paths, expected, strict=True))
    assert len({path.read_bytes() for path in paths}) == 3


def test_an_image_depends_on_seed_and_number_alone(tmp_path):
    model = model_of(CGAN)
    torch.manual_seed(9)
    before = torch.get_rng_state()
    few, many = draw_samples(model, 2, seed=1), draw_samples(model, 5, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(few, many[:2])
    assert not torch.equal(few, draw_samples(model, 2, seed=2))
    assert not torch.equal(many[0], many[3])  # the same class, other noise


def test_classes_have_their_folders(tmp_path):
    model = model_of(CGAN)
    paths = sample_folder(model, tmp_path, 4, grid=True)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "a/00000.png",
        "b/00001.png",
        "c/00002.png",
        "a/00003.png",
        "grid.png",
    ]
    # A column for each class.
    assert _pixels(tmp_path / "grid.png").shape == (2 * 18 + 2, 3 * 18 + 2, 3)
    (path,) = sample_folder(model, tmp_path / "one", 1, label=1)
    assert path == tmp_path / "one" / "b" / "00000.png"
    assert not np.array_equal(_pixels(path), _pixels(paths[0]))


def test_a_class_with_an_odd_name_stays_inside_the_folder(tmp_path):
    model = model_of(CGAN, ImageSpec(3, 16, ("../out", ".b", "c d"), SPEC.groups))
    paths = sample_folder(model, tmp_path / "in", 3)
    assert [path.parent.relative_to(tmp_path).as_posix() for path in paths] == ["in/0", "in/1", "in/c d"]


def test_nothing_is_overwritten_unless_asked_for(tmp_path):
    model = model_of(GAN)
    sample_folder(model, tmp_path, 2)
    before = (tmp_path / "00001.png").read_bytes()
    (tmp_path / "00000.png").unlink()
    with pytest.raises(ConfigurationError, match=r"00001\.png.*exists"):
        sample_folder(model, tmp_path, 2, seed=7)
    assert not (tmp_path / "00000.png").exists() and (tmp_path / "00001.png").read_bytes() == before
    sample_folder(model, tmp_path, 2, seed=7, overwrite=True)
    assert (tmp_path / "00001.png").read_bytes() != before
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "grid.png").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match=r"grid\.png.*exists"):
        sample_folder(model, tmp_path / "more", 2, grid=True)
    assert list((tmp_path / "more").iterdir()) == [tmp_path / "more" / "grid.png"]


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"--label d: .*a, b, c"):
        class_number(model_of(CGAN), "d")
    with pytest.raises(ConfigurationError, match="knows no classes"):
        class_number(model_of(GAN), "a")
    assert class_number(model_of(CGAN), "b") == 1 and class_number(model_of(GAN), None) is None
    with pytest.raises(ValueError, match="class 3 of 3"):
        sample_folder(model_of(CGAN), tmp_path, 1, label=3)
    with pytest.raises(ConfigurationError, match="--count 0"):
        sample_folder(model_of(GAN), tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_points_become_a_table_and_a_picture(tmp_path):
    model = model_of(GAN, POINTS)
    paths = sample_folder(model, tmp_path, 7, grid=True)
    assert [path.name for path in paths] == ["points.csv", "grid.png"] == sorted(p.name for p in paths)[::-1]
    table = np.loadtxt(paths[0], delimiter=",", skiprows=1)
    np.testing.assert_allclose(table, draw_samples(model, 7).flatten(1).numpy(), rtol=1e-6)
    assert _pixels(paths[1]).shape == (256, 256, 3)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_number_of_channels_is_written(tmp_path, channels):
    (path,) = sample_folder(model_of(GAN, ImageSpec(channels, 8, ("a",))), tmp_path, 1)
    picture = read(path)
    assert picture.pixels.shape == (8, 8, 1 if channels == 1 else 3)
    assert (picture.alpha is not None) == (channels == 4)


def test_tiles_stand_row_by_row_on_white():
    images = torch.arange(5.0)[:, None, None, None].expand(5, 1, 2, 3)
    sheet = tile(images, 3, gutter=1)
    assert sheet.shape == (1, 2 * 3 + 1, 3 * 4 + 1)
    assert sheet[0, 1, 1::4].tolist() == [0, 1, 2] and sheet[0, 4, 1::4].tolist() == [3, 4, 1]
    assert (sheet[0, ::3] == 1).all() and (sheet[0, :, ::4] == 1).all()
