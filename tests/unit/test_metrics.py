import math

import numpy as np
import pytest
import torch

from translate.evaluation.colour_map import apply_affine_colour, fit_affine_colour
from translate.evaluation.metrics import absolute_error, psnr, ssim


def images(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def from_black(images: torch.Tensor) -> np.ndarray:
    """The same in float64 where black is 0 and white 1."""
    return (images.double().numpy() + 1) / 2


def direct_ssim(x: np.ndarray, y: np.ndarray, size: int) -> float:
    """Wang et al. 2004, eq. 13, window by window, on one channel where black is 0 and white 1."""
    offsets = np.arange(size) - size // 2
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = 0.01**2, 0.03**2
    values = []
    for top in range(x.shape[0] - size + 1):
        for left in range(x.shape[1] - size + 1):
            a, b = (z[top : top + size, left : left + size] for z in (x, y))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            var_a, var_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
            covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
            luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
            values.append(luminance * (2 * covariance + c2) / (var_a + var_b + c2))
    return float(np.mean(values))


def test_absolute_error_is_on_the_scale_from_black_to_white():
    black, white = torch.full((2, 3, 4, 4), -1.0), torch.full((2, 3, 4, 4), 1.0)
    assert absolute_error(black, white) == 1
    assert absolute_error(black, black) == 0
    assert absolute_error(black, black + 0.5) == 0.25


def test_psnr_of_a_known_error():
    truth = torch.zeros(2, 3, 8, 8)
    assert psnr(truth + 0.2, truth).item() == pytest.approx(20, abs=1e-6)  # an error of 0.1 of the range
    assert psnr(truth, truth).item() == math.inf


def test_psnr_is_the_mean_of_the_images_decibels():
    truth = torch.zeros(2, 1, 8, 8)
    noisy = torch.stack([truth[0] + 0.2, truth[1] + 0.02])
    assert psnr(noisy, truth).item() == pytest.approx(30, abs=1e-5)


@pytest.mark.parametrize(("height", "width", "window"), [(17, 13, 11), (11, 30, 11), (9, 20, 9), (8, 8, 7), (1, 5, 1)])
def test_ssim_equals_its_definition(height, width, window):
    truth = images(0, 2, 3, height, width)
    noisy = (0.7 * truth + 0.3 * images(1, 2, 3, height, width)).clamp(-1, 1)
    expected = [
        direct_ssim(from_black(noisy[i, c]), from_black(truth[i, c]), window) for i in range(2) for c in range(3)
    ]
    assert ssim(noisy, truth).item() == pytest.approx(np.mean(expected), abs=1e-10)


def unlike_pairs() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Five pairs of 8-bit images (2, 3, 40, 33) in [-1, 1], float64, on which wrong measures differ most."""
    across, down = torch.meshgrid(torch.linspace(0, 9, 40), torch.linspace(0, 7, 33), indexing="ij")
    waves = torch.stack([across.sin() * down.cos(), (across + down).sin(), (across * down / 8).cos()]).expand(
        2, 3, -1, -1
    )
    scene = (0.6 * waves + 0.2 * images(4, 2, 3, 40, 33)).clamp(-1, 1)
    flat = torch.zeros(2, 3, 40, 33)
    pairs = {
        "two greys": (flat + 126 / 127.5 - 1, flat + 129 / 127.5 - 1),
        "five levels brighter": (scene, scene + 5 / 127.5),
        "inverted": (scene, -scene),
        "unrelated noise": (images(5, 2, 3, 40, 33), images(6, 2, 3, 40, 33)),
        "nearly black": (0.03 * (scene + 1) - 1, 0.03 * (scene.flip(-1) + 1) - 1),
    }
    in_levels = lambda x: ((x.double() + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1  # noqa: E731
    return {name: (in_levels(a), in_levels(b)) for name, (a, b) in pairs.items()}


PAIRS = unlike_pairs()


@pytest.mark.parametrize("name", PAIRS)
def test_ssim_is_torchmetrics(name):
    """Away from its borders, which torchmetrics mirrors and others, as Wang, leave out."""
    theirs = pytest.importorskip("torchmetrics.functional.image", reason="torchmetrics is not installed")
    found, truth = ((x + 1) / 2 for x in PAIRS[name])
    _, everywhere = theirs.structural_similarity_index_measure(
        found, truth, gaussian_kernel=True, sigma=1.5, data_range=1.0, return_full_image=True
    )
    assert ssim(*PAIRS[name]).item() == pytest.approx(float(everywhere[..., 5:-5, 5:-5].mean()), abs=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_ssim_is_scikit_images(name):
    theirs = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    wanted = [
        theirs.structural_similarity(
            x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=0
        )
        for x, y in zip(*((from_black(side) * 255).round() for side in PAIRS[name]), strict=True)
    ]
    assert ssim(*PAIRS[name]).item() == pytest.approx(np.mean(wanted), abs=1e-6)


def test_ssim_of_constant_images_is_its_luminance_term():
    """Two greys that no eye tells apart, 126 and 129 of 255, are nearly equal."""
    a, b = (torch.full((1, 1, 16, 16), grey / 127.5 - 1, dtype=torch.float64) for grey in (126, 129))
    x, y = 126 / 255, 129 / 255
    assert ssim(a, b).item() == pytest.approx((2 * x * y + 1e-4) / (x**2 + y**2 + 1e-4), abs=1e-12)
    assert ssim(a, b).item() == pytest.approx(0.9997, abs=5e-5)
    assert ssim(a, a).item() == pytest.approx(1, abs=1e-12)


def test_everything_is_in_float64():
    a, b = images(0, 1, 3, 16, 16), images(1, 1, 3, 16, 16)
    assert {measure(a, b).dtype for measure in (absolute_error, psnr, ssim, fit_affine_colour)} == {torch.float64}


def test_a_known_colour_map_is_found_and_applied():
    truth = torch.tensor([[0.5, 0.2, 0.0, 0.1], [-0.3, 0.4, 0.1, -0.2], [0.0, 0.1, 0.9, 0.05]], dtype=torch.float64)
    inputs = images(2, 3, 3, 9, 7)
    targets = torch.einsum("dc,bchw->bdhw", truth[:, :3], inputs.double()) + truth[:, 3].view(1, 3, 1, 1)
    found = fit_affine_colour(inputs, targets)
    torch.testing.assert_close(found, truth, atol=1e-12, rtol=0)
    torch.testing.assert_close(apply_affine_colour(inputs, found), targets, atol=1e-12, rtol=0)


def test_a_colour_map_is_found_for_grey_pictures_and_for_one_channel():
    grey = images(3, 2, 1, 8, 8)
    found = fit_affine_colour(grey.expand(2, 3, 8, 8), 0.5 * grey.expand(2, 3, 8, 8) + 0.1)
    torch.testing.assert_close(apply_affine_colour(grey.expand(2, 3, 8, 8), found)[:, :1], 0.5 * grey.double() + 0.1)
    torch.testing.assert_close(fit_affine_colour(grey, -grey), torch.tensor([[-1.0, 0.0]], dtype=torch.float64))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="equal shape"):
        absolute_error(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))
