"""PatchNCE against its equation in float64, and against what CUT's released code computes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from translate.losses.patch_nce import PatchNCE

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden" / "second"
CHANNELS = (3, 5)


def _maps(seed, batch=2):
    generator = torch.Generator().manual_seed(seed)
    sizes = ((6, 5), (3, 4))
    return [
        torch.randn(batch, count, *size, generator=generator, dtype=torch.float64)
        for count, size in zip(CHANNELS, sizes, strict=True)
    ]


def _loss(**options):
    torch.manual_seed(0)
    return PatchNCE(CHANNELS, width=7, **options).double()


def _info_nce(loss, queries, keys, places, temperature=0.07, together=False):
    """-log exp(q_s . k_s / t) / sum_r exp(q_s . k_r / t), written out place by place."""
    of_maps = []
    for head, query, key, drawn in zip(loss.heads, queries, keys, places, strict=True):
        terms = []
        batches = [range(len(query))] if together else [[image] for image in range(len(query))]
        for images in batches:
            columns = [(image, divmod(int(place), query.shape[3])) for image in images for place in drawn]
            q, k = ([head(maps[image, :, row, column]) for image, (row, column) in columns] for maps in (query, key))
            q, k = ([vector / vector.norm() for vector in vectors] for vectors in (q, k))
            for own, vector in enumerate(q):
                odds = torch.stack([torch.exp(vector @ other / temperature) for other in k])
                terms.append(-torch.log(odds[own] / odds.sum()))
        of_maps.append(torch.stack(terms).mean())
    return torch.stack(of_maps).mean()


@pytest.mark.parametrize("negatives", ["image", "batch"])
def test_it_is_info_nce_over_the_places_of_an_image_or_of_the_batch(negatives, monkeypatch):
    loss, queries, keys = _loss(places=6, temperature=0.3, negatives=negatives), _maps(1), _maps(2)
    places = [torch.tensor([3, 0, 29, 7, 11, 12]), torch.tensor([1, 5, 11, 0, 2, 9])]
    drawn = iter(places)
    monkeypatch.setattr(loss, "draw", lambda features: next(drawn))
    wanted = _info_nce(loss, queries, keys, places, temperature=0.3, together=negatives == "batch")
    torch.testing.assert_close(loss(queries, keys), wanted, rtol=1e-9, atol=0)


def test_keys_give_no_gradient_neither_to_what_they_come_from_nor_to_the_heads():
    loss = _loss(places=100)
    queries, keys = ([maps.requires_grad_() for maps in _maps(seed)] for seed in (1, 2))
    heads = list(loss.parameters())
    gradients = torch.autograd.grad(loss(queries, keys), [*queries, *heads])
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(loss(queries, keys), keys)
    # The heads' gradient is that of the queries alone: the keys' directions are numbers.
    every = [torch.arange(maps.shape[-2] * maps.shape[-1]) for maps in queries]
    fixed = [maps.detach() for maps in keys]
    with_keys = torch.autograd.grad(_info_nce(loss, queries, fixed, every), heads)
    assert not all(torch.allclose(mine, both) for mine, both in zip(gradients[2:], with_keys, strict=True))


def test_places_are_different_ones_and_anew_each_time():
    loss = PatchNCE([3], places=20)
    features = torch.zeros(1, 3, 6, 7)
    torch.manual_seed(1)
    draws = [loss.draw(features) for _ in range(200)]
    assert all(len(draw.unique()) == 20 and draw.min() >= 0 and draw.max() < 42 for draw in draws)
    assert not torch.equal(draws[0], draws[1])
    counts = torch.cat(draws).bincount(minlength=42)  # 200 * 20 / 42 = 95 each, with a deviation of 7
    assert counts.min() > 60 and counts.max() < 130
    assert sorted(PatchNCE([3], places=99).draw(features).tolist()) == list(range(42))


def test_it_tells_the_same_place_from_others():
    """Translations that are their inputs cost less than ones whose places are mixed up; by chance it is log S."""
    loss, maps = _loss(places=100), _maps(1)
    mixed = [features.flip(-1) for features in maps]
    chance = sum(math.log(features.shape[-2] * features.shape[-1]) for features in maps) / 2
    assert loss(maps, maps) < 0.7 * chance < chance < loss(mixed, maps)


def test_places_without_a_direction_have_a_finite_gradient():
    """Black borders of a padded image under fresh heads: a vector of zeros, whose length has no derivative."""
    loss = PatchNCE([3], width=8).requires_grad_()
    for head in loss.heads:
        for layer in (head.inner, head.outer):
            torch.nn.init.zeros_(layer.bias)
    maps = torch.zeros(1, 3, 4, 4).requires_grad_()
    value = loss([maps], [torch.zeros(1, 3, 4, 4)])
    assert value.item() == pytest.approx(math.log(16))
    assert all(torch.isfinite(grad).all() for grad in torch.autograd.grad(value, [maps, *loss.parameters()]))


def test_half_precision_is_compared_in_full():
    loss, maps = PatchNCE([8], width=16), [torch.randn(2, 8, 5, 5)]
    torch.manual_seed(0)
    exact = loss(maps, maps)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = loss([maps[0].bfloat16()], [maps[0].bfloat16()])
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(exact.item(), rel=0.02)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")
@pytest.mark.parametrize(("name", "negatives"), [("per_image", "image"), ("whole_batch", "batch")])
def test_it_computes_what_the_released_code_does(name, negatives, monkeypatch):
    arrays = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN / f"patchnce_{name}.npz").items()}
    weights = torch.load(GOLDEN / f"patchnce_{name}.pth", weights_only=True)
    count = len(arrays["losses"])
    queries, keys = ([arrays[f"{kind}_{number}"] for number in range(count)] for kind in ("queries", "keys"))
    loss = PatchNCE([maps.shape[1] for maps in queries], width=8, places=16, negatives=negatives)
    names = {"0": "inner", "2": "outer"}  # mlp_3.0.weight
    theirs = {key: key.split(".") for key in weights}
    ours = {key: f"heads.{mlp[4:]}.{names[layer]}.{entry}" for key, (mlp, layer, entry) in theirs.items()}
    loss.load_state_dict({ours[key]: value for key, value in weights.items()})
    drawn = iter([arrays[f"ids_{number}"] for number in range(count)])
    monkeypatch.setattr(loss, "draw", lambda features: next(drawn))
    queries = [maps.requires_grad_() for maps in queries]
    value = loss(queries, keys)
    torch.testing.assert_close(value, arrays["loss"], rtol=1e-5, atol=1e-5)
    own = dict(loss.named_parameters())
    wanted = {f"gradient_queries_{number}": maps for number, maps in enumerate(queries)}
    wanted |= {f"gradient_mlp_{key.removeprefix('mlp_')}": own[ours[key]] for key in weights}
    gradients = torch.autograd.grad(value, list(wanted.values()))
    for key, gradient in zip(wanted, gradients, strict=True):
        torch.testing.assert_close(gradient, arrays[key], rtol=0, atol=1e-4 * float(arrays[key].abs().max()))
