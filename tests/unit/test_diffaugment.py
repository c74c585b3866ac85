import pytest
import torch

from translate.losses.diffaugment import DifferentiableAugment, colour, cutout, translation

KINDS = ("colour", "translation", "cutout")


def images(count: int = 8, channels: int = 3, side: int = 16) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_shape_and_kind_of_number_stay(kind, channels):
    before = images(channels=channels)
    after = DifferentiableAugment((kind,))(before)
    assert after.shape == before.shape and after.dtype == before.dtype
    assert not torch.equal(after, before)
    assert DifferentiableAugment((kind,))(before.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", KINDS)
def test_every_call_and_every_image_draws_anew(kind):
    same = images(1).expand(8, -1, -1, -1)
    augment = DifferentiableAugment((kind,))
    torch.manual_seed(0)
    real, fake = augment(same), augment(same)
    assert not torch.equal(real, fake)
    assert len({image.numpy().tobytes() for image in real}) > 4
    torch.manual_seed(0)
    assert torch.equal(augment(same), real)


def test_nothing_to_do_is_nothing_done():
    before = images()
    assert DifferentiableAugment(())(before) is before


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="color"):
        DifferentiableAugment(("color",))


def test_colour_shifts_and_scales_within_the_published_bounds():
    torch.manual_seed(1)
    shift = colour(torch.zeros(4000, 3, 1, 1))
    assert shift.min() < -0.49 and shift.max() > 0.49 and shift.abs().max() <= 0.5
    torch.manual_seed(1)
    flat = torch.zeros(4000, 3, 1, 2)
    flat[..., 1] = 0.5  # two greys: their difference is scaled by the contrast alone
    contrast = (lambda out: (out[..., 1] - out[..., 0]).mean(1).flatten() / 0.5)(colour(flat))
    assert 0.49 < contrast.min() < 0.51 and 1.49 < contrast.max() < 1.51
    red = torch.zeros(4000, 3, 1, 1)
    red[:, 0] = 0.6  # the difference of its channels is scaled by saturation and contrast
    spread = (lambda out: (out[:, 0] - out[:, 1]).flatten() / 0.6)(colour(red))
    assert spread.min() < 0.05 and 2.5 < spread.max() <= 3


def test_translation_moves_whole_pixels_and_fills_with_grey():
    before = images(64)
    torch.manual_seed(2)
    moved = set()
    for image, after in zip(before, translation(before), strict=True):
        matches = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if torch.equal(after, _moved(image, dy, dx))]
        assert len(matches) == 1  # up to an eighth of 16 pixels, exactly
        moved.update(matches)
    assert {dy for dy, _ in moved} == {dx for _, dx in moved} == {-2, -1, 0, 1, 2}


def _moved(image: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    """Content down by dy and right by dx, by slices."""
    padded = torch.zeros(image.shape[0], 20, 20)
    padded[:, 2 + dy : 18 + dy, 2 + dx : 18 + dx] = image
    return padded[:, 2:18, 2:18]


def test_translation_goes_as_far_as_each_side_allows():
    """Up to an eighth of each: one pixel down and four to the right, of 8 x 32."""
    torch.manual_seed(4)
    marked = torch.zeros(200, 1, 8, 32)
    marked[:, :, 4, 16] = 1
    found = {tuple(place) for place in translation(marked)[:, 0].nonzero()[:, 1:].tolist()}
    assert found == {(row, column) for row in range(3, 6) for column in range(12, 21)}


@pytest.mark.parametrize("side", [16, 20, 257])
def test_translation_moves_the_same_pixels_under_autocast(side):
    """Where places are computed in half precision, other pixels are hit."""
    before = images(6, side=side)
    torch.manual_seed(3)
    plain = translation(before)
    torch.manual_seed(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(translation(before), plain)


def _published_cuts(side, count=6000):
    """Rows that the published code cuts out, as it draws and clamps them."""
    width = int(side * 0.5 + 0.5)
    middle = torch.randint(0, side + (1 - width % 2), (count, 1))
    return {tuple(sorted(set(row))) for row in (torch.arange(width) + middle - width // 2).clamp(0, side - 1).tolist()}


@pytest.mark.parametrize("side", [7, 8, 9, 10])
def test_cutout_and_translation_reach_as_far_as_published(side):
    torch.manual_seed(6)
    cut = cutout(torch.ones(6000, 1, side, side)) == 0
    found = {tuple(row.nonzero().flatten().tolist()) for row in cut.any(3)[:, 0]}
    # One place is missing: an even width has no pixel in the middle, and is not centred beyond the last one.
    beyond = {tuple(range(side - int(side * 0.5 + 0.5) // 2, side))} if int(side * 0.5 + 0.5) % 2 == 0 else set()
    assert found | beyond == _published_cuts(side)
    marked = torch.zeros(6000, 1, side, side)
    marked[:, :, side // 2] = 1
    rows = {place for _, place, _ in translation(marked)[:, 0].nonzero().tolist()}
    most = int(side * 0.125 + 0.5)
    assert rows == set(range(side // 2 - most, side // 2 + most + 1))


def test_cutout_erases_one_rectangle_of_half_the_side_that_may_cross_the_border():
    torch.manual_seed(3)
    kept = cutout(torch.ones(400, 1, 16, 16))
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    rows, columns = (kept == 0).any(3).sum(2).flatten(), (kept == 0).any(2).sum(2).flatten()
    assert torch.equal((kept == 0).sum((1, 2, 3)), rows * columns)  # a full rectangle
    assert set(rows.tolist()) == set(columns.tolist()) == set(range(4, 9))
    assert (kept == 0).any(0).all()  # every place can be hit


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_flow_to_the_images(kind):
    before = images(2, side=8).double().requires_grad_()
    augment = DifferentiableAugment((kind,))

    def repeatable(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(4)
        return augment(x)

    assert torch.autograd.gradcheck(repeatable, before)
    (gradient,) = torch.autograd.grad(repeatable(before).sum(), before)
    assert gradient.abs().sum() > 0


def test_all_kinds_follow_one_another():
    torch.manual_seed(5)
    every = DifferentiableAugment(KINDS)(images())
    torch.manual_seed(5)
    assert torch.equal(every, cutout(translation(colour(images()))))
