"""What each translator's players pay is its paper's equation: which network sees which image, with which weight.

The equations are written out here in plain torch, in float64 and in evaluation mode, where nothing is random.
"""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny import TINY, random_batch, tiny_model
from torch.distributions import Normal, kl_divergence

from translate.models import MODELS
from translate.models.base import Translator
from translate.networks import initialise

PENALISED = {"r1": 4, "r2": 6}


def _model(name, adversarial=None, **settings):
    game = {"adversarial": adversarial or {}} if "adversarial" in MODELS[name].Config.model_fields else {}
    model = tiny_model(name, settings={**TINY[name], **settings, **game})
    return model.double().eval(), random_batch(model, size=3).map(torch.Tensor.double)


def _paid(model, batch, fakes=None):
    """Each loss of each turn, by the player's role and the loss's name."""
    fakes = fakes or model.generate(batch)
    paid = {}
    for turn in model.turns():
        role = "generator" if turn.trains_generators else "discriminator"
        paid |= {f"{role}: {name}": loss.item() for name, loss in turn.losses(batch, fakes).items()}
    return paid


def _require(paid, wanted):
    assert paid == {name: pytest.approx(value.item(), rel=1e-5) for name, value in wanted.items()}


def _distance(images, others):
    return (images - others).abs().mean()


def _squared_slope(score, images):
    """E |grad D|^2 / 2, the score of an image being the mean of its map."""
    images = images.detach().requires_grad_()
    (slope,) = torch.autograd.grad(score(images).flatten(1).mean(1).sum(), images)
    return slope.flatten(1).square().sum(1).mean() / 2


def test_pix2pix_judges_images_beside_their_inputs():
    model, batch = _model("pix2pix", {"objective": "nonsaturating", **PENALISED}, reconstruction=7)
    x, y, fakes = batch.input, batch.target, model.generator(batch.input)

    def odds(images):
        return torch.sigmoid(model.discriminator(torch.cat([x, images], 1)))

    real, fake = torch.cat([x, y], 1), torch.cat([x, fakes], 1)
    _require(
        _paid(model, batch),
        {
            "discriminator: adversarial": -odds(y).log().mean() - (1 - odds(fakes)).log().mean(),
            "discriminator: r1": 4 * _squared_slope(model.discriminator, real),
            "discriminator: r2": 6 * _squared_slope(model.discriminator, fake),
            "generator: adversarial": -odds(fakes).log().mean(),
            "generator: reconstruction": 7 * _distance(y, fakes),
        },
    )


def test_pix2pix_converts_in_the_mode_that_its_recipe_says():
    """Its dropout is noise in training mode; batch norm, too, then has the image's own statistics."""
    images = torch.rand(1, 3, 16, 16) * 2 - 1
    for mode in ("train", "eval"):
        model = tiny_model("pix2pix", settings={**TINY["pix2pix"], "convert_mode": mode})
        with torch.no_grad():
            wanted = model.generator.train(mode == "train")(images)
            torch.testing.assert_close(model.train().convert(images), wanted)


@pytest.mark.parametrize("label_mix", [5, 0])
def test_oasis_finds_classes_in_images_and_generated_pixels_are_one_more(label_mix):
    """Schönfeld et al. 2021, eq. 1 to 4, with classes as numbers: 0 is "generated"."""
    model, batch = _model("oasis", label_mix=label_mix)
    batch.input[:, :, :5] = -1  # nobody labelled
    batch.input[:, :, 5:, :7] = torch.tensor([-1.0, 1.0, -1.0]).view(3, 1, 1)
    fakes = {"output": torch.rand_like(batch.target) * 2 - 1}
    known, classes = batch.input.amax(1) > 0, batch.input.argmax(1)
    counts = [(known & (classes == number)).sum() for number in range(3)]
    weights = torch.stack([known.numel() / (3 * count) for count in counts])[classes] * known
    see, fake = model.discriminator, fakes["output"]

    def as_labelled(images):
        return (F.cross_entropy(see(images), 1 + classes, reduction="none") * weights).mean()

    wanted = {
        "discriminator: real": as_labelled(batch.target),
        "discriminator: fake": F.cross_entropy(see(fake), torch.zeros_like(classes)),
        "generator: adversarial": as_labelled(fake),
    }
    torch.manual_seed(1)
    heads = torch.rand(4) < 0.5
    of_real = heads[torch.where(known, classes, 3)][:, None].double()
    assert 0 < of_real.mean() < 1
    mixed = see(of_real * batch.target + (1 - of_real) * fake)
    apart = (mixed - of_real * see(batch.target) - (1 - of_real) * see(fake)).square().mean()
    if label_mix:
        wanted["discriminator: label_mix"] = 5 * apart
    torch.manual_seed(1)
    _require(_paid(model, batch, fakes), wanted)


def test_bridge_tells_the_target_from_a_random_point_of_the_path_and_is_judged_by_its_answer_in_one_step():
    """BBDM's path and L1; the adversary sees y - G(y, y, 1) beside y."""
    rules = {"objective": "nonsaturating", **PENALISED}
    model, batch = _model("bridge", rules, adversarial_weight=0.2, path={"kind": "brownian", "variance": 0.3})
    y, x0 = batch.input, batch.target
    torch.manual_seed(1)
    fakes = model.generate(batch)
    torch.manual_seed(1)
    t = 0.001 + 0.999 * torch.rand(3, dtype=torch.float64)
    m, noise = (0.001 + 0.998 * t)[:, None, None, None], torch.randn_like(x0)
    wanted = m * (y - x0) + (2 * 0.3 * m * (1 - m)).sqrt() * noise
    told = model.generator(torch.cat([x0 + wanted, y], 1), t)
    guess = y - model.generator(torch.cat([y, y], 1), torch.ones(3, dtype=torch.float64))
    real, fake = (torch.cat([y, image], 1) for image in (x0, guess))
    odds = [torch.sigmoid(model.discriminator(images)) for images in (real, fake)]
    _require(
        _paid(model, batch, fakes),
        {
            "discriminator: adversarial": -odds[0].log().mean() - (1 - odds[1]).log().mean(),
            "discriminator: r1": 4 * _squared_slope(model.discriminator, real),
            "discriminator: r2": 6 * _squared_slope(model.discriminator, fake),
            "generator: bridge": _distance(told, wanted),
            "generator: adversarial": -0.2 * odds[1].log().mean(),
        },
    )


@pytest.mark.parametrize("turns", ["joint", "separate"])
def test_cyclegan_translates_and_comes_back_both_ways(turns):
    rules = {"objective": "lsgan", "discriminator_weight": 0.5}
    model, batch = _model("cyclegan", rules, turns=turns, cycle=3, identity=0.2)
    a, b = batch.a, batch.b
    to_a, to_b = model.generator_a, model.generator_b
    score_a, score_b = model.discriminator_a, model.discriminator_b
    _require(
        _paid(model, batch),
        {
            "generator: adversarial/a": (score_a(to_a(b)) - 1).square().mean(),
            "generator: adversarial/b": (score_b(to_b(a)) - 1).square().mean(),
            "generator: cycle/a": 3 * _distance(to_a(to_b(a)), a),
            "generator: cycle/b": 3 * _distance(to_b(to_a(b)), b),
            "generator: identity/a": 0.6 * _distance(to_a(a), a),
            "generator: identity/b": 0.6 * _distance(to_b(b), b),
            "discriminator: adversarial/a": ((score_a(a) - 1).square().mean() + score_a(to_a(b)).square().mean()) / 2,
            "discriminator: adversarial/b": ((score_b(b) - 1).square().mean() + score_b(to_b(a)).square().mean()) / 2,
        },
    )
    assert torch.equal(model.convert(a, 1), to_b(a)) and torch.equal(model.convert(b, 0), to_a(b))


def test_cyclegans_separate_turns_are_the_original_codes_and_none_starts_from_what_has_moved_since():
    model, batch = _model("cyclegan", turns="separate", cycle=3)
    turns = model.turns()
    assert [turn.name for turn in turns] == ["generator b", "discriminator b", "generator a", "discriminator a"]
    networks = [model.generator_b, model.discriminator_b, model.generator_a, model.discriminator_a]
    assert [list(turn.networks) for turn in turns] == [[network] for network in networks]
    fakes = model.generate(batch)
    with torch.no_grad():
        model.generator_b.head.weight.mul_(-1)
    wanted = 3 * _distance(model.generator_a(model.generator_b(batch.a)), batch.a)
    assert turns[2].losses(batch, fakes)["cycle/a"].item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize(("name", "domains"), [("cyclegan", "ab"), ("direct", "b")])
def test_a_discriminator_scores_its_own_domains_history(name, domains):
    """A full pool of one image shows it to half of the discriminator's turns, and the newcomer to the others."""
    model, batch = _model(name, {"objective": "lsgan"}, pool=1)
    batch = batch.map(lambda images: images[:1])
    fakes = {key: image.detach() for key, image in model.generate(batch).items()}
    for domain in domains:
        suffix = f"_{domain}" if name == "cyclegan" else ""
        pool, discriminator = (getattr(model, part + suffix) for part in ("pool", "discriminator"))
        real = (discriminator(getattr(batch, domain)) - 1).square().mean()
        kept = torch.full_like(fakes[domain], 0.3 if domain == "a" else -0.6)
        expected = {round((real + discriminator(fake).square().mean()).item(), 5) for fake in (kept, fakes[domain])}
        seen = set()
        for seed in range(20):
            pool.images.copy_(kept)
            pool.stored.fill_(1)
            torch.manual_seed(seed)
            paid = _paid(model, batch, fakes)
            seen.add(
                round(paid[f"discriminator: adversarial/{domain}".removesuffix("" if suffix else f"/{domain}")], 5)
            )
        assert seen == expected and len(seen) == 2


def test_direct_translation_stays_near_its_input():
    model, batch = _model("direct", {"objective": "lsgan", **PENALISED}, content_weight=3)
    a, b, fakes, discriminator = batch.a, batch.b, model.generator(batch.a), model.discriminator
    _require(
        _paid(model, batch),
        {
            "generator: adversarial": (discriminator(fakes) - 1).square().mean(),
            "generator: content": 3 * _distance(fakes, a),
            "discriminator: adversarial": (discriminator(b) - 1).square().mean() + discriminator(fakes).square().mean(),
            "discriminator: r1": 4 * _squared_slope(discriminator, b),
            "discriminator: r2": 6 * _squared_slope(discriminator, fakes),
        },
    )


def _nce(model, made, images, temperature=0.2, mirrored=False):
    """- log of the share of the same place among all places of an image, over layers; seen by CUT's generator itself,
    layer by layer, and described by its heads."""
    of_layers = []
    for head, made_seen, seen in zip(
        model.heads.heads, *map(partial(_seen, model.generator), (made, images)), strict=True
    ):
        made_seen = made_seen.flip(-1) if mirrored else made_seen
        q, k = (F.normalize(head(maps.flatten(2).transpose(1, 2)), dim=-1) for maps in (made_seen, seen))
        share = torch.softmax(torch.einsum("nsc,ntc->nst", q, k) / temperature, 2)
        of_layers.append(-share.diagonal(dim1=1, dim2=2).log().mean())
    return sum(of_layers) / len(of_layers)


def _seen(generator, images):
    """Layers 0, 4, 8 and 12 of CUT's nn.Sequential; tiny ones have one residual block."""
    yield F.pad(images, (3, 3, 3, 3), mode="reflect")
    features = generator.stem(images)
    for level in generator.down:
        yield level.conv(features)
        features = level(features)
    yield generator.body[0](features)


@pytest.mark.parametrize(("identity", "flip"), [(1, False), (0.5, False), (0, False), (0, True), (1, True)])
def test_cut_holds_translations_to_their_inputs_place_by_place(identity, flip):
    rules = {"objective": "lsgan", "discriminator_weight": 0.5, **PENALISED}
    patches = {"width": 8, "places": 10_000, "temperature": 0.2}
    model, batch = _model("cut", rules, nce=3, identity=identity, flip_equivariance=flip, patches=patches)
    initialise(model.heads, "kaiming")  # published ones give vectors so short that 1e-6 counts beside their length
    a, b, to_b, score = batch.a, batch.b, model.generator, model.discriminator
    coins = set()
    for seed in range(8 if flip else 1):
        torch.manual_seed(seed)
        fakes = model.generate(batch)
        mirrored = flip and bool(fakes["mirrored"])
        coins.add(mirrored)
        fake, same = (to_b(images.flip(-1) if mirrored else images) for images in (a, b))
        nce = partial(_nce, model, mirrored=mirrored)
        wanted = {
            "generator: adversarial": (score(fake) - 1).square().mean(),
            "generator: nce/a": 3 * nce(fake, a),
            "discriminator: adversarial": ((score(b) - 1).square().mean() + score(fake).square().mean()) / 2,
            "discriminator: r1": 4 * _squared_slope(score, b),
            "discriminator: r2": 6 * _squared_slope(score, fake),
        }
        if identity:
            total = 1 + identity
            wanted["generator: nce/a"] = 3 / total * nce(fake, a)
            wanted["generator: nce/b"] = 3 / total * identity * nce(same, b)
        _require(_paid(model, batch, fakes), wanted)
    assert coins == ({True, False} if flip else {False})
    assert torch.equal(model.convert(a, 1), to_b(a))


def test_stargan_reads_labels_off_real_images_and_teaches_them_by_generated_ones():
    rules = {"objective": "wasserstein", "clip": 1, **PENALISED}
    model, batch = _model("stargan", rules, classification=2, reconstruction=5, penalised="mean")
    images, own = batch.images, batch.labels
    fakes = model.generate(batch)
    wanted = fakes["wanted"]
    fake = model.generator(images, wanted)

    def score(x):
        return model.discriminator(x)[0]

    def misread(x, labels):
        return F.cross_entropy(model.discriminator(x)[1], labels)

    paid = _paid(model, batch, fakes)
    _require(
        {name: value for name, value in paid.items() if "label_accuracy" not in name},
        {
            "discriminator: adversarial": score(fake).mean() - score(images).mean(),
            "discriminator: classification": 2 * misread(images, own),
            "discriminator: r1": 4 * _squared_slope(score, images),
            "discriminator: r2": 6 * _squared_slope(score, fake),
            "generator: adversarial": -score(fake).mean(),
            "generator: classification": 2 * misread(fake, wanted),
            "generator: reconstruction": 5 * _distance(model.generator(fake, own), images),
        },
    )


@pytest.mark.parametrize("source", ["latent", "reference"])
def test_stargan_v2_gives_images_styles_that_can_be_read_and_that_differ(source):
    """Choi et al. 2020, eq. 1 to 6, a third of the way through the decay of the diversity."""
    rules = {"objective": "nonsaturating", **PENALISED}
    model, batch = _model("stargan-v2", rules, style_reconstruction=2, diversity=3, diversity_steps=300, cycle=5)
    model.step.fill_(100)
    images, own, wanted, among = batch.images, batch.labels.argmax(1), batch.wanted.argmax(1), torch.arange(3)
    turns, fakes = {turn.name: turn for turn in model.turns()}, model.generate(batch)

    def score(domain, x):
        return model.discriminator(x)[among, domain][:, None]

    def read(x, domain):
        return model.style_encoder(x)[among, domain]

    torch.manual_seed(1)
    if source == "latent":
        style, another = fakes["style_latent"], model._drawn(batch)
    else:
        style, another = read(batch.reference, wanted), read(batch.partner, wanted)
    fake = model.generator(images, style)
    paid = {}
    for name in (f"discriminator_{source}", f"generator_{source}"):
        torch.manual_seed(1)
        paid |= {f"{name.split('_')[0]}: {key}": loss.item() for key, loss in turns[name].losses(batch, fakes).items()}
    spread = _distance(fake, model.generator(images, another))
    _require(
        paid,
        {
            "discriminator: adversarial": F.softplus(-score(own, images)).mean()
            + F.softplus(score(wanted, fake)).mean(),
            "discriminator: r1": 4 * _squared_slope(partial(score, own), images),
            "discriminator: r2": 6 * _squared_slope(partial(score, wanted), fake),
            "generator: adversarial": F.softplus(-score(wanted, fake)).mean(),
            "generator: style_reconstruction": 2 * _distance(read(fake, wanted), style),
            "generator: diversity": -3 * (2 / 3) * spread,
            "generator: cycle": 5 * _distance(model.generator(fake, read(images, own)), images),
            "generator: spread": spread,
        },
    )


def test_unit_ties_images_translations_and_codes():
    weights = {
        "reconstruction": 2,
        "kl": 0.3,
        "cycle_weight": 5,
        "code_cycle_weight": 7,
        "identity": 11,
        "semantic": 13,
    }
    model, batch = _model("unit", {"objective": "lsgan"}, cycle="both", code_adversary=17, **weights)
    paid = _paid(model, batch)

    def towards(maps, label):
        return sum((scale - label).square().mean() for scale in (maps if isinstance(maps, list) else [maps]))

    wanted = {}
    codes = [model.encode(batch.a, 0), model.encode(batch.b, 1)]
    for own, (domain, images) in enumerate((("a", batch.a), ("b", batch.b))):
        other, code = 1 - own, codes[own]
        translated = model.decode(code, other)
        there = model.encode(translated, other)
        back = model.decode(there, own)
        fakes = model.decode(codes[other], own)
        discriminator = model.discriminator_b if own else model.discriminator_a
        wanted |= {
            f"discriminator: adversarial/{domain}": towards(discriminator(images), 1)
            + towards(discriminator(fakes), 0),
            f"generator: adversarial/{domain}": towards(discriminator(fakes), 1),
            f"generator: reconstruction/{domain}": 2 * _distance(model.decode(code, own), images),
            f"generator: kl/{domain}": 0.3 * code.square().mean(),
            f"generator: kl_translated/{domain}": 0.3 * there.square().mean(),
            f"generator: cycle/{domain}": 5 * _distance(back, images),
            f"generator: code_cycle/{domain}": 7 * _distance(model.encode(back, own), code),
            f"generator: identity/{domain}": 11 * _distance(model.decode(model.encode(images, other), own), images),
            f"generator: semantic/{domain}": 13 * _distance(there, code),
        }
    of_a, of_b = (model.code_discriminator(code) for code in codes)
    wanted |= {
        "discriminator: code": towards(of_a, 1) + towards(of_b, 0),
        "generator: code": 17 * (towards(of_b, 1) + towards(of_a, 0)),
    }
    _require(paid, wanted)
    assert torch.equal(model.convert(batch.a, 1), model.decode(codes[0], 1))
    assert torch.equal(model.convert(batch.b, 0), model.decode(codes[1], 0))


def test_units_noise_is_in_what_is_decoded_and_not_in_what_codes_are_held_to():
    model, batch = _model("unit", cycle="none", code_adversary=0, semantic=3, reconstruction=2)
    fakes = model.train().generate(batch)
    assert torch.equal(fakes["a"], model.decode(fakes["code b"], 0))
    assert torch.equal(fakes["b"], model.decode(fakes["code a"], 1))
    paid = _paid(model, batch, fakes)
    for own, domain in enumerate("ab"):
        images, code = getattr(batch, domain), fakes[f"code {domain}"]
        wanted = 2 * _distance(model.decode(code, own), images)
        assert paid[f"generator: reconstruction/{domain}"] == pytest.approx(wanted.item(), rel=1e-5)
        wanted = 3 * _distance(model.encode(fakes["ba"[own]], 1 - own), fakes[f"mean {domain}"])
        assert paid[f"generator: semantic/{domain}"] == pytest.approx(wanted.item(), rel=1e-5)


def test_auto_encoders_that_are_not_variational_pay_no_divergence():
    plain = _model("unit", variational=False)
    assert not any("kl" in name for name in _paid(*plain))


def test_digits_are_judged_by_their_own_domains_and_compared_in_squares():
    weights = {"reconstruction": 0.2, "kl": 0.3, "features": 0.5, "classification": 7, "translated": 0}
    model, batch = _model("unit-digits", {"objective": "nonsaturating", **PENALISED}, adversarial_weight=3, **weights)
    drawn_anew = {name: torch.rand_like(batch.a) * 2 - 1 for name in ("aa", "ab", "ba", "bb")}  # at first all are grey
    fakes = model.generate(batch) | drawn_anew
    discriminator, see = model.discriminators, model.discriminators.features
    real = torch.cat([discriminator(batch.a, 0)[0], discriminator(batch.b, 1)[0]])
    drawn = torch.cat([discriminator(fakes[name], "ab".index(name[1]))[0] for name in ("aa", "ba", "ab", "bb")])
    as_a = see(fakes["aa"], 0) - see(fakes["ab"], 1)
    as_b = see(fakes["bb"], 1) - see(fakes["ba"], 0)
    missed = [(fakes[twice] - images).square().sum() for twice, images in (("aa", batch.a), ("bb", batch.b))]
    codes = Normal(fakes["mean"], fakes["deviation"])
    wanted = {
        "discriminator: adversarial": 3 * (F.softplus(-real).mean() + F.softplus(drawn).mean()),
        "discriminator: classification": 7 * F.cross_entropy(discriminator(batch.a, 0)[1], batch.labels),
        "discriminator: features": 0.5 * torch.cat([as_a, as_b]).square().sum(1).mean(),
        "generator: adversarial": 3 * F.softplus(-drawn).mean(),
        "generator: reconstruction": 0.2 * sum(missed) / 6,
        "generator: kl": 0.3 * kl_divergence(codes, Normal(0.0, 1.0)).flatten(1).sum(1).mean(),
    }
    for domain, (images, fake) in enumerate(((batch.a, fakes["ba"]), (batch.b, fakes["ab"]))):
        for penalty, at in (("r1", images), ("r2", fake)):
            slope = _squared_slope(lambda x, domain=domain: discriminator(x, domain)[0], at)
            wanted[f"discriminator: {penalty}/{'ab'[domain]}"] = PENALISED[penalty] * slope
    paid = _paid(model, batch, fakes)
    del paid["discriminator: label_accuracy/real"]
    _require(paid, wanted)


def test_every_translator_has_its_equation_here():
    tested = re.findall(r"_model\(\"([\w-]+)\"", Path(__file__).read_text())
    assert {name for name, kind in MODELS.items() if issubclass(kind, Translator)} == set(tested)
