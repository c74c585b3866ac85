"""The patch distance: what no truth is needed for tells images that are like the real ones from those that are not."""

import pytest
import torch
import torch.nn.functional as F

from translate.evaluation.patches import patch_distance


def _images(count=24, size=32, channels=3, seed=0):
    """Blobs of colour, some pixels wide."""
    coarse = torch.randn(count, channels, 12, 12, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, size=(size, size), mode="bicubic").tanh()


def test_a_set_is_as_near_to_another_of_its_kind_as_nothing_else_is():
    reals, others = _images(seed=0), _images(seed=1)
    assert patch_distance(reals, reals) == patch_distance(reals.flip(0), reals) == 0.0
    near = patch_distance(others, reals)
    noise = 0.3 * torch.randn(others.shape, generator=torch.Generator().manual_seed(2))
    for worse in (others + noise, F.avg_pool2d(others, 5, 1, 2), 0.5 * others, others + 0.5):
        assert patch_distance(worse, reals) > 1.5 * near


@pytest.mark.parametrize("period", [2, 4])
def test_a_fine_grid_over_large_images_is_seen(period):
    """What upsampling leaves behind: it is gone from an image that is reduced."""
    reals, others = _images(4, 128), _images(4, 128, seed=1)
    grid = torch.zeros(128, 128)
    grid[::period, ::period] = 0.5
    assert patch_distance(others + grid, reals) > 2 * patch_distance(others, reals)


def test_it_is_the_same_at_every_call_and_draws_no_random_number_of_training():
    images, reals = _images(), _images(seed=1)
    state = torch.get_rng_state()
    first = patch_distance(images, reals)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert patch_distance(images, reals) == first


@pytest.mark.parametrize(("size", "channels"), [(4, 1), (16, 2), (33, 4)])
def test_images_of_any_size_and_number_of_channels_are_compared(size, channels):
    images, reals = (_images(3, size, channels, seed) for seed in (0, 1))
    assert 0 < patch_distance(images, reals) < patch_distance(images + 3, reals)
    assert patch_distance(torch.full_like(images, torch.nan), reals) != patch_distance(images, reals)


def test_a_flat_channel_of_the_reals_does_not_outweigh_the_others():
    """As an empty band of a satellite image: a model's rounding noise in it is no fault."""
    reals, images = _images(4, seed=0), _images(4, seed=1)
    reals[:, 2], images[:, 2] = -1.0, -1.0
    noise = torch.randn(images[:, 2].shape, generator=torch.Generator().manual_seed(2))
    noisy, wrong = images.clone(), images.clone()
    noisy[:, 2] += 1e-3 * noise
    wrong[:, 2] += 0.3
    near = patch_distance(images, reals)
    assert patch_distance(noisy, reals) == pytest.approx(near, rel=0.2)
    assert near < patch_distance(wrong, reals) < 50 * near
    flat = torch.zeros_like(reals)
    assert patch_distance(flat, flat) == 0 < patch_distance(flat + 0.01, flat) < patch_distance(flat + 0.5, flat) < 1000


def test_one_image_of_one_pixel_is_compared():
    assert patch_distance(torch.full((1, 3, 1, 1), 0.5), torch.zeros(1, 3, 1, 1)) > 0
