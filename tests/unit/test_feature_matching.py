"""Feature matching and SPADE's discriminator: published values, gradients, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SPEC, TINY, random_batch, tiny_model, tiny_trainer
from ways_out import SAYS_NO_WAY

from translate.errors import ConfigurationError
from translate.losses.adversarial import OBJECTIVES
from translate.losses.feature_matching import feature_matching
from translate.models.pix2pix import Pix2Pix, Pix2PixConfig
from translate.networks.patchgan import PatchSettings
from translate.recipe import load_recipe

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "second"
WITHIN = (
    ("model0.0.", "layers.0.conv."),
    ("model1.0.0.", "layers.1.conv."),
    ("model2.0.0.", "layers.2.conv."),
    ("model3.0.0.", "layers.3.conv."),
    ("model4.0.", "head."),
    ("weight_orig", "parametrizations.weight.original"),
    ("weight_u", "parametrizations.weight.0._u"),
    ("weight_v", "parametrizations.weight.0._v"),
)


def _ours(key: str) -> str:
    for theirs, ours in WITHIN:
        key = key.replace(theirs, ours)
    return key.replace("discriminator_", "scales.")


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")
def test_spades_discriminator_and_losses_are_the_published_ones() -> None:
    """Maps of both scales, hinge as the mean over scales, matching of weight 10, and the gradient of the sum."""
    own = PatchSettings(filters=4, layers=3, scales=2, padding=2, normalisation="instance", spectral="inner")
    network = own.build(9, 64).eval()
    state = {
        _ours(key): value for key, value in torch.load(GOLDEN / "spade_discriminator.pth", weights_only=True).items()
    }
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected and all(key.endswith("conv.bias") for key in missing)
    for key in missing:  # before an instance norm, which takes it away
        network.get_parameter(key).data.zero_()
    with np.load(GOLDEN / "spade_discriminator.npz") as file:
        known = {key: torch.from_numpy(file[key]) for key in file.files}

    fake = known["fake"].requires_grad_()
    seen, wanted = (network.maps(torch.cat([known["semantics"], image], 1)) for image in (fake, known["real"]))
    for scale, maps in enumerate(seen):
        for layer, found in enumerate(maps):
            assert (found - known[f"fake_scale_{scale}_layer_{layer}"]).abs().max() < 1e-5
    hinge, scores = OBJECTIVES["hinge"], [[maps[-1] for maps in each] for each in (seen, wanted)]
    adversarial, matching = hinge.generator_loss(scores[0]) / 2, 10 * feature_matching(seen, wanted)
    assert adversarial.item() == pytest.approx(float(known["loss_generator_hinge"]), abs=1e-5)
    assert matching.item() == pytest.approx(float(known["feature_matching"]), abs=1e-4)
    both = hinge.discriminator_loss(scores[1], scores[0]).item() / 2
    assert both == pytest.approx(float(known["loss_fake_hinge"] + known["loss_real_hinge"]), abs=1e-5)
    (felt,) = torch.autograd.grad(adversarial + matching, fake)
    gradient = known["gradient_generator_fake"]
    assert (felt - gradient).abs().max() < 1e-4 * gradient.abs().max()


def test_targets_get_no_gradient_and_logits_do_not_count() -> None:
    fake, real = ([[torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(3)]] for _ in range(2))
    feature_matching(fake, real).backward()
    assert all(one.grad is None for one in real[0]) and fake[0][0].grad is not None
    assert fake[0][-1].grad is None


def test_pix2pix_with_matching_pays_it_and_moves_by_it() -> None:
    def stepped(weight):
        model = tiny_model("pix2pix", settings=TINY["pix2pix"] | {"feature_matching": weight})
        trainer = tiny_trainer(model)
        trainer.step(random_batch(model, seed=0))
        return trainer.read_losses(), [*model.generator.parameters()], [*model.discriminator.parameters()]

    (without, plain, judge), (paid, moved, same) = stepped(0), stepped(10)
    assert paid["generator/feature_matching"] > 0 and "generator/feature_matching" not in without
    assert any(not torch.allclose(one, other, atol=1e-6) for one, other in zip(plain, moved, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(judge, same, strict=True)), "it moves the generator alone"


def test_what_cannot_be_matched_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no effect without a discriminator"):
        load_recipe("pix2pix", ["model.feature_matching=10", "model.adversarial_weight=0"])
    with pytest.raises(ConfigurationError, match="leave one of them out"):
        load_recipe("pix2pix", ["model.feature_matching=10", "model.adversarial.augment=[colour]"])


SAYS_NO_WAY |= {("models/pix2pix", "does not say what its layers see"): "a plugin's discriminator, below"}


def test_a_discriminator_that_shows_no_maps_is_refused(monkeypatch) -> None:
    monkeypatch.delattr("translate.networks.patchgan.PatchDiscriminator.maps")
    with pytest.raises(ConfigurationError, match=r"set model\.discriminator\.kind: patch"):
        Pix2Pix(Pix2PixConfig(**TINY["pix2pix"], feature_matching=1), SPEC)
