"""pix2pixHD: published sizes and outputs, its losses and its step, and the second stage that begins with the first."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from frozen_files import seen_by, vgg_file
from tiny import SIZE, SPEC, TINY, random_batch, tiny_model, tiny_trainer

from translate.data.domain import Domain
from translate.data.planes import planes
from translate.errors import ConfigurationError
from translate.inference.tiling.rowmap import Bands, RowMap
from translate.inference.tiling.rules import RULES
from translate.inference.tiling.store import MemoryStore
from translate.losses.adversarial import OBJECTIVES
from translate.losses.feature_matching import feature_matching
from translate.losses.perceptual import LayeredDistance
from translate.models.images import ImageSpec
from translate.models.pix2pix import Pix2Pix, Pix2PixConfig
from translate.networks.foreign import from_port
from translate.networks.patchgan import PatchSettings
from translate.networks.pix2pixhd import EnhancedGenerator, EnhancedSettings
from translate.networks.resnet import ResnetGenerator
from translate.recipe import load_recipe

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "second"
with_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")
ENHANCED = {"kind": "enhanced", "filters": 2, "blocks": 1, "downsamplings": 2, "local_blocks": 1}
FIRST = {"kind": "resnet", "filters": 4, "blocks": 1, "downsamplings": 2}
# Of model1_1 and model1_2, with two blocks.
OF_ENHANCER = {
    "model1_1.1": "stem.conv",
    "model1_1.4": "down.conv",
    "model1_2.0.conv_block.1": "body.0.conv1",
    "model1_2.0.conv_block.5": "body.0.conv2",
    "model1_2.1.conv_block.1": "body.1.conv1",
    "model1_2.1.conv_block.5": "body.1.conv2",
    "model1_2.2": "up.conv",
    "model1_2.6": "head",
}


def _golden(name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        known = {key: torch.from_numpy(file[key]) for key in file.files}
    return known, torch.load(GOLDEN / f"{name}.pth", weights_only=True)


@with_golden
def test_the_global_generator_is_a_resnet_with_the_published_outputs() -> None:
    known, state = _golden("pix2pixhd_global")
    with torch.no_grad():
        assert (from_port(state).eval()(known["input"]) - known["output_eval"]).abs().max() < 1e-5


@with_golden
def test_the_enhanced_generator_gives_the_published_outputs_and_begins_with_the_global_one() -> None:
    known, state = _golden("pix2pixhd_enhancer")
    network = EnhancedGenerator(5, 3, filters=2, blocks=3, downsamplings=2, local_blocks=2)
    # The global part is that of the port's ResNet, whose last convolution is not in this file.
    rest = {key: value for key, value in state.items() if key.startswith("model.")}
    whole = from_port(rest | {"model.20.weight": torch.zeros(3, 4, 7, 7), "model.20.bias": torch.zeros(3)})
    begun = dict(network.begun_with(whole.state_dict()))
    assert begun.keys() == network.state_dict().keys()
    for theirs, ours in OF_ENHANCER.items():
        begun |= {f"enhancer.{ours}.{one}": state[f"{theirs}.{one}"] for one in ("weight", "bias")}
    network.load_state_dict(begun)
    with torch.no_grad():
        assert (network.eval()(known["input"]) - known["output_eval"]).abs().max() < 1e-5
    assert network.begun_with(begun) is begun, "a run of the second stage is taken as it is"


def test_networks_have_the_published_sizes() -> None:
    """182.5 million, 182.9 with the enhancer, for the 35 classes of Cityscapes and boundaries; and D beside a photo."""
    with torch.device("meta"):
        networks = ResnetGenerator(36, 3, downsamplings=4), EnhancedGenerator(36, 3)
        judge = PatchSettings(scales=2, padding=2).build(39, 512)
    counts = [sum(weight.numel() for weight in network.parameters()) for network in (*networks, judge)]
    assert counts == pytest.approx([182.5e6, 182.9e6, 5.60e6], rel=1e-3)


@with_golden
def test_discriminator_and_losses_are_the_published_ones() -> None:
    known, state = _golden("pix2pixhd_discriminator")
    network = PatchSettings(filters=4, layers=3, scales=2, padding=2, normalisation="instance").build(7, 48)

    def ours(key: str) -> str:
        scale, layer, rest = int(key[5]), int(key[12]), key.rpartition(".")[2]
        within = "head" if layer == 4 else f"layers.{layer}.conv"
        return f"scales.{1 - scale}.{within}.{rest}"  # theirs begin with the coarsest

    network.load_state_dict({ours(key): value for key, value in state.items()})
    fake = known["fake"].requires_grad_()
    seen, wanted = (network.maps(torch.cat([known["condition"], image], 1)) for image in (fake, known["real"]))
    for scale, maps in enumerate(seen):
        for layer, found in enumerate(maps):
            assert (found - known[f"fake_finest_{scale}_layer_{layer}"]).abs().max() < 1e-5
    lsgan, scores = OBJECTIVES["lsgan"], [[maps[-1] for maps in each] for each in (seen, wanted)]
    adversarial, matching = lsgan.generator_loss(scores[0]), 10 * feature_matching(seen, wanted)
    assert adversarial.item() == pytest.approx(float(known["loss_generator"]), abs=1e-5)
    assert matching.item() == pytest.approx(float(known["feature_matching"]), rel=1e-5)
    (felt,) = torch.autograd.grad(adversarial + matching, fake, retain_graph=True)
    gradient = known["gradient_generator_fake"]
    assert (felt - gradient).abs().max() < 1e-4 * gradient.abs().max()
    loss = 0.5 * lsgan.discriminator_loss(scores[1], scores[0])
    assert loss.item() == pytest.approx(float(known["loss_discriminator"]), abs=1e-5)
    loss.backward()
    for key in (key for key in known if key.startswith("gradient_scale")):
        felt, gradient = network.get_parameter(ours(key.removeprefix("gradient_"))).grad, known[key]
        assert felt is not None and (felt - gradient).abs().max() < 1e-4 * gradient.abs().max()


@with_golden
def test_boundaries_of_instances_are_the_published_edges() -> None:
    with np.load(GOLDEN / "instance_edges.npz") as file:
        instances, edges = (torch.from_numpy(file[key]) for key in ("instances", "edges"))
    made = planes(instances.to(torch.uint16), Domain("maps", 2, dtype="uint16", kind="instances"))
    assert torch.equal((made[:, 1:] > 0).float(), edges) and 0 < edges.mean() < 1


def test_vggs_loss_is_of_the_first_relu_of_each_block_by_its_weight(tmp_path: Path) -> None:
    path, vgg = vgg_file(tmp_path / "vgg.pth")
    fake, real = (torch.rand(2, 3, 32, 24, requires_grad=True) * 2 - 1 for _ in range(2))
    seen, wanted = seen_by(vgg, fake), seen_by(vgg, real)
    each = [(one - other).abs().mean().item() for one, other in zip(seen, wanted, strict=True)]
    loss = LayeredDistance(path)(fake, real)
    assert loss.item() == pytest.approx(np.dot([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1], each), rel=1e-5)
    assert torch.autograd.grad(loss, [fake, real], allow_unused=True)[1] is None


def test_a_step_is_the_published_one(tmp_path: Path) -> None:
    """G moves first, by Adam written out in float64, on all that the paper asks; then D, on the same translations."""
    path, vgg = vgg_file(tmp_path / "vgg.pth")
    settings = {
        "adversarial": {"objective": "lsgan", "discriminator_weight": 0.5},
        "first_turn": "generator", "reconstruction": 0, "feature_matching": 10, "perceptual": 10,
        "perceptual_weights": str(path), "generator": ENHANCED,
        "discriminator": {"filters": 4, "layers": 1, "scales": 2, "padding": 2, "normalisation": "instance"},
    }  # fmt: skip
    model = tiny_model("pix2pix", settings={**TINY["pix2pix"], **settings}).double().train()
    batch = random_batch(model).map(torch.Tensor.double)
    g, d = dict(model.generator.named_parameters()), dict(model.discriminator.named_parameters())
    fake = model.generator(batch.input)

    def judged(image: torch.Tensor) -> list[list[torch.Tensor]]:
        return model.discriminator.maps(torch.cat([batch.input, image], 1))

    seen, wanted = judged(fake), judged(batch.target)
    loss = sum((maps[-1] - 1).square().mean() for maps in seen)
    matched = [(one - other.detach()).abs().mean() for ours, theirs in zip(seen, wanted, strict=True)
               for one, other in zip(ours[:-1], theirs[:-1], strict=True)]  # fmt: skip
    loss = loss + 10 * sum(matched) / 2
    layers = zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), seen_by(vgg, fake), seen_by(vgg, batch.target), strict=True)
    loss = loss + 10 * sum(weight * (one - other).abs().mean() for weight, one, other in layers)
    slopes = dict(zip(g, torch.autograd.grad(loss, [*g.values()], retain_graph=True), strict=True))
    seen, wanted = judged(fake.detach()), judged(batch.target)
    loss = sum(maps[-1].square().mean() for maps in seen) + sum((maps[-1] - 1).square().mean() for maps in wanted)
    of_judge = dict(zip(d, torch.autograd.grad(0.5 * loss, [*d.values()]), strict=True))
    expected = [
        {key: _moved(one, slope[key]) for key, one in weights.items()}
        for weights, slope in ((g, slopes), (d, of_judge))
    ]

    trainer = tiny_trainer(model, lr=1e-3)
    trainer.step(batch)
    assert [turn.name for turn in model.turns()] == ["generator", "discriminator"]
    for weights, wanted_weights, slope in zip((g, d), expected, (slopes, of_judge), strict=True):
        for key, one in weights.items():
            # Where the slope is 0 but for rounding (a bias before a norm), Adam's sign of it is chance.
            felt = slope[key].abs() > 1e-6
            assert (one - wanted_weights[key])[felt].abs().max() < 1e-5 if felt.any() else "bias" in key, key


def _moved(weight: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """After Adam's first step, whose means are the slope itself once corrected."""
    return weight.detach() - 1e-3 * slope / (slope.abs() + 1e-8)


def test_a_fixed_network_at_half_the_size_stays_while_the_enhancer_learns() -> None:
    model = tiny_model("pix2pix", settings=TINY["pix2pix"] | {"generator": {**ENHANCED, "fixed": True}})
    before = {key: value.clone() for key, value in model.generator.named_parameters()}
    trainer = tiny_trainer(model)
    for step in range(2):
        trainer.step(random_batch(model, seed=step))
    moved = {key for key, value in model.generator.named_parameters() if not torch.equal(value, before[key])}
    assert moved and all(key.startswith("enhancer.") for key in moved)
    assert {key for key in before if key.endswith("weight") and key.startswith("enhancer.")} <= moved


def test_finer_scales_are_added_before_those_of_the_first_stage() -> None:
    two, three = (PatchSettings(filters=2, layers=1, scales=scales).build(3, 64) for scales in (2, 3))
    begun = three.begun_with(two.state_dict())
    three.load_state_dict(begun)
    images = torch.rand(1, 3, 64, 64)
    halved = F.avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
    for one, other in zip(three(images)[1:], two(halved), strict=True):
        torch.testing.assert_close(one, other)
    assert two.begun_with(two.state_dict()).keys() == two.state_dict().keys()


def test_bands_of_rows_give_what_the_whole_image_gives() -> None:
    network = EnhancedSettings.model_validate(ENHANCED).initialised(4, 64).eval()
    images = torch.rand(1, 4, 64, 48) * 2 - 1
    bands = Bands(8, images.device, torch.contiguous_format, MemoryStore, RULES)
    with torch.no_grad():
        made = network(RowMap(images.to("meta"), lambda top, bottom: images[:, :, top:bottom], bands))
        assert (made.rows(0, 64) - network(images)).abs().max() < 1e-5


def test_what_vgg_cannot_compare_is_refused(tmp_path: Path) -> None:
    wanted = Pix2PixConfig.model_validate({**TINY["pix2pix"], "perceptual": 1})
    with pytest.raises(ConfigurationError, match=r"b is 8-bit of 5 bands: set model\.perceptual=0"):
        Pix2Pix(wanted, ImageSpec(3, SIZE, ("a", "b"), each=(Domain("photo"), Domain("depths", 5))))
    model = Pix2Pix(wanted, SPEC)
    with pytest.raises(ConfigurationError, match=r"model\.perceptual_weights: no weights at vgg19"):
        model.turns()
    assert model.convert(torch.zeros(1, 3, SIZE, SIZE)).shape == (1, 3, SIZE, SIZE), "converting needs no weights"


def test_recipes_are_of_two_stages_that_fit() -> None:
    first, second = (load_recipe(name).model for name in ("pix2pixhd", "pix2pixhd-enhanced"))
    assert first.generator.filters == 2 * second.generator.filters
    assert all(getattr(first.generator, key) == getattr(second.generator, key) for key in ("blocks", "downsamplings"))
