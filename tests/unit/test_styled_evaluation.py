"""Evaluation of styles, on a model and a classifier whose answers are known in closed form."""

from types import SimpleNamespace

import pytest
import torch
from tiny import CPU

from translate.evaluation.styled import DRAWS, evaluate_styles, spread
from translate.models.base import Style

DOMAINS = ("a", "b", "c")
SIDES = ("present", "absent")


class Painter:
    """Paints the first channel as the domain and the second as the style; goes to b in even draws only."""

    def drawn_style(self, seed, to):
        return Style((seed / 10,), f"seed:{seed}")

    def read_style(self, image, to, name):
        assert len(image) == 1 and float(image[0, 0, 0, 0]) == level(to), "references are of the domain asked for"
        return Style((0.0,), name)

    def translate(self, images, request):
        (to,) = request.set
        (style,) = request.style.code
        reached = 0 if to == 1 and round(style * 10) % 2 else to
        made = torch.zeros_like(images)
        made[:, 0], made[:, 1] = level(reached), style
        return made


def level(domain):
    return 0.25 * domain


class Reader:
    """Reads the domain off the first channel; features are the second, in a vector of one."""

    labels = SimpleNamespace(attributes=[])

    def predict(self, images):
        return torch.eye(3)[(images[:, 0, 0, 0] / 0.25).round().long()]

    def features(self, images):
        return images[:, 1, 0, 0][:, None]


def scores():
    reals = [torch.zeros(4, 3, 8, 8) for _ in DOMAINS]
    for number, images in enumerate(reals):
        images[:, 0] = level(number)
        images[:, 1] = torch.tensor([0.0, 0.1, 0.2, 0.3])[:, None, None]
    held_out = {"images": 10**9, "all": 1.0} | {kind: dict.fromkeys(DOMAINS, (10**9, 10**9)) for kind in SIDES}
    trained = SimpleNamespace(classifier=Reader(), protocol={"classifier": "known"}, facts={"held_out": held_out})
    return evaluate_styles(Painter(), reals, DOMAINS, trained, CPU, {"split": "test"})


def test_every_ordered_pair_has_its_accuracy_and_spread_by_both_ways() -> None:
    found = {(one.key, one.name): one for one in scores()}
    pairs = [f"{a} to {b}, {way}" for a in DOMAINS for b in DOMAINS if a != b for way in ("latent", "reference")]
    assert set(found) == {(key, row) for key in ("domain_accuracy", "style_spread") for row in pairs}
    one = found["domain_accuracy", "a to c, latent"]
    assert (one.value, one.floor, one.ceiling) == (100, {"inputs": 0.0}, {"real test images": 100.0})
    assert one.images == 4, "a picture's styles are no independent trials"
    # To b, draws 0, 2 and 4 of five get there.
    assert found["domain_accuracy", "a to b, latent"].value == pytest.approx(60)
    # The mean distance between two of 0, .1, .2, .3, .4 is .2; all references give one style.
    assert found["style_spread", "a to c, latent"].value == pytest.approx(0.2)
    assert found["style_spread", "a to c, reference"].value == pytest.approx(0)
    # Between real images 0, .1, .2, .3: 10/6 of a tenth.
    assert found["style_spread", "a to c, latent"].ceiling["between real test images"] == pytest.approx(1 / 6)


def test_the_spread_is_the_mean_over_all_pairs_of_each_picture() -> None:
    draws = [torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.zeros(2, 2)]
    assert spread(draws).tolist() == pytest.approx([10 / 3, 2 / 3])
    assert DRAWS >= 2
