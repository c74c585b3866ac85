"""OASIS's networks and losses give the published outputs, and its whole step the published one."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_spade import GOLDEN, WITHIN, iterated, iterating_no_more
from tiny import random_batch, tiny_model, tiny_trainer
from torch import Tensor, nn

from translate.inference.tiling.rowmap import Bands, RowMap
from translate.inference.tiling.rules import RULES
from translate.inference.tiling.store import MemoryStore
from translate.losses.segmenting import as_generated, as_labelled, consistency, mask_by_class
from translate.networks.oasis import SegmentingDiscriminator
from translate.networks.spade import SPADEGenerator
from translate.training.trainer import step_seed

golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")


def _known(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    return torch.load(GOLDEN / f"{name}.pth", weights_only=True), arrays


def _planes(labels: Tensor, classes: int) -> Tensor:
    return F.one_hot(labels[:, 0].long(), classes).permute(0, 3, 1, 2) * 2.0 - 1


def _renamed(key: str, *more: tuple[str, str]) -> str:
    for theirs, ours in (*more, *WITHIN):
        key = key.replace(theirs, ours)
    return key


OF_GENERATOR = (("fc.", "stem."), ("conv_img.", "head."), ("body.", "blocks."), ("first_norm.", "norm."))
OF_DISCRIMINATOR = (
    ("body_down.", "down."),
    ("body_up.", "up."),
    ("layer_up_last.", "head."),
    ("conv1.0.", "conv1."),
    ("conv1.1.", "conv1."),
    ("conv1.2.", "conv1."),
    ("conv2.1.", "conv2."),
)


@golden
def test_published_weights_of_the_generator_give_the_published_images() -> None:
    state, known = _known("oasis_generator")
    network = SPADEGenerator(4 + 6, 3, filters=4, hidden=8, layout="oasis")
    noise = (2 * known["noise"] - 1)[:, :, None, None].expand(-1, -1, 64, 64)
    given = torch.cat([noise, _planes(known["labels"], 6)], 1)
    network.load_state_dict({_renamed(key, *OF_GENERATOR): value for key, value in state.items()})
    with torch.no_grad():
        assert (network.eval()(given) - known["output_eval"]).abs().max() < 1e-5
        network.load_state_dict({_renamed(key, *OF_GENERATOR): value for key, value in iterated(state).items()})
        assert (iterating_no_more(network)(given) - known["output_batch_statistics"]).abs().max() < 1e-5


@golden
def test_published_weights_of_the_discriminator_give_the_published_losses_and_gradients() -> None:
    state, known = _known("oasis_discriminator")
    network = SegmentingDiscriminator(3, 6, filters=8).eval()
    network.load_state_dict({_renamed(key, *OF_DISCRIMINATOR): value for key, value in state.items()})
    labels = _planes(known["labels"], 6)
    labels[:, 0] = -1  # theirs is "nobody labelled", ours is no class
    fake = known["fake"].requires_grad_()
    of_real, of_fake = network(known["real"]), network(fake)
    mask = known["mask"] > 0
    mixed = network(torch.where(mask, known["real"], fake.detach()))
    found = {
        "logits_real": of_real,
        "logits_fake": of_fake,
        "loss_real": as_labelled(of_real, labels),
        "loss_fake": as_generated(of_fake),
        "loss_generator": as_labelled(of_fake, labels),
        "loss_labelmix": consistency(of_real, of_fake, mixed, mask),
    }
    for key, value in found.items():
        assert (value - known[key]).abs().max() < 1e-5, key
    (slope,) = torch.autograd.grad(found["loss_generator"], fake, retain_graph=True)
    assert (slope - known["gradient_generator_fake"]).abs().max() < 1e-4 * slope.abs().max()
    total = as_labelled(of_real, labels)
    detached = network(fake.detach())
    total = total + as_generated(detached) + 10 * consistency(of_real, detached, mixed, mask)
    total.backward()
    weights = dict(network.named_parameters())
    for key in (key for key in known if key.startswith("gradient_") and key != "gradient_generator_fake"):
        slope = weights[_renamed(key.removeprefix("gradient_"), *OF_DISCRIMINATOR)].grad
        assert (slope - known[key]).abs().max() < 1e-4 * known[key].abs().max(), key


@pytest.mark.parametrize(("classes", "millions"), [(151, 74.3), (12, 70.5), (35, 71.1)])
def test_the_generator_has_the_published_size(classes: int, millions: float) -> None:
    """ADE20K, facades and Cityscapes."""
    with torch.device("meta"):
        network = SPADEGenerator(64 + classes, 3, layout="oasis")
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_discriminator_has_the_published_size() -> None:
    with torch.device("meta"):
        network = SegmentingDiscriminator(3, 151)
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(22.3, abs=0.05)


def test_a_whole_step_is_the_published_one_in_float64() -> None:
    """Written anew with classes as numbers: D's turn on real, generated and mixed images, then G's against the moved D,
    each with Adam's first move; spectral norms iterate at every pass, and batch statistics are taken once."""
    model = tiny_model("oasis", seed=1).double().train()
    batch = random_batch(model, seed=1).map(Tensor.double)
    batch.input[:, :, :3] = -1  # nobody labelled
    batch.input[:, 2] = -1  # nor any pixel of the third class
    theirs = copy.deepcopy(model)
    tiny_trainer(model, seed=7).step(batch)

    torch.manual_seed(step_seed(7, 0, 0))
    generator, discriminator, weight = theirs.generator, theirs.discriminator, theirs.config.label_mix
    noise = torch.empty(2, 3, dtype=torch.float64).normal_()
    planes = torch.cat([(2 * noise - 1)[:, :, None, None].expand(-1, -1, 16, 16), batch.input], 1)
    fake = generator(planes)
    known, classes = batch.input.amax(1) > 0, batch.input.argmax(1)
    counts = [int((known & (classes == number)).sum()) for number in range(3)]
    assert counts[2] == 0 and 0 < counts[0] != counts[1] > 0
    balance = torch.tensor([known.numel() / (2 * count) if count else 0 for count in counts], dtype=torch.float64)

    def labelled(logits: Tensor) -> Tensor:
        return (F.cross_entropy(logits, 1 + classes, reduction="none") * balance[classes] * known).mean()

    of_real, of_fake = discriminator(batch.target), discriminator(fake.detach())
    coins = torch.rand(4) < 0.5
    real = coins[torch.where(known, classes, 3)][:, None].double()
    mixed = discriminator(real * batch.target + (1 - real) * fake.detach())
    apart = (mixed - real * of_real - (1 - real) * of_fake).square().mean()
    generated = F.cross_entropy(of_fake, torch.zeros_like(classes))
    _moved(discriminator, labelled(of_real) + generated + weight * apart)
    _moved(generator, labelled(discriminator(fake)))
    ours, wanted = model.state_dict(), theirs.state_dict()
    for key, value in wanted.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-9, atol=1e-9, msg=key)


def _moved(network: nn.Module, loss: Tensor) -> None:
    slopes = torch.autograd.grad(loss, [*network.parameters()], retain_graph=True)
    with torch.no_grad():
        for weight, slope in zip(network.parameters(), slopes, strict=True):
            weight -= 1e-3 * slope / (slope.abs() + 1e-8)


def test_coins_are_tossed_for_classes_and_for_what_nobody_labelled() -> None:
    labels = random_batch(tiny_model("oasis")).input
    labels[:, :, :4] = -1
    number = torch.where(labels.amax(1) > -1, labels.argmax(1), 3)
    seen = set()
    torch.manual_seed(0)
    for _ in range(200):
        mask = mask_by_class(labels)[:, 0]
        coins = tuple(bool(mask[number == one].all()) for one in range(4))
        assert torch.equal(mask, torch.tensor(coins)[number])
        seen.add(coins)
    assert len(seen) == 16


def test_another_seed_is_another_image_of_the_same_label_map() -> None:
    """Numbers of a seed are the same for every image, whatever came before, in any company."""
    model = tiny_model("oasis")
    planes = random_batch(model).input
    with torch.no_grad():
        first, again = model.convert(planes), model.convert(planes[1:])
        model.seed = 5
        other = model.convert(planes)
    torch.testing.assert_close(first[1:], again, rtol=0, atol=2e-5)
    assert model.draws_noise and (first - other).abs().max() > 1e-4
    assert not torch.equal(*model.generate(random_batch(model, size=1).map(_twice))["output"].detach())


def _twice(tensor: Tensor) -> Tensor:
    return torch.cat([tensor, tensor])


def test_bands_of_rows_give_what_the_whole_label_map_gives() -> None:
    model = tiny_model("oasis").eval()
    planes = torch.randint(2, (1, 3, 64, 40)).float() * 2 - 1
    bands = Bands(8, planes.device, torch.contiguous_format, MemoryStore, RULES)
    with torch.no_grad():
        made = model.convert(RowMap(planes.to("meta"), lambda top, bottom: planes[:, :, top:bottom], bands))
        assert (made.rows(0, 64) - model.convert(planes)).abs().max() < 1e-5


def test_small_layouts_have_a_block_for_each_size() -> None:
    """As many blocks as sizes, 8 times the filters at the smallest of 4: 424k and 327k weights for 4 classes."""
    generator = SPADEGenerator(16 + 4, 3, filters=8, levels=3, hidden=32, layout="oasis")
    discriminator = SegmentingDiscriminator(3, 4, filters=32, levels=4)
    assert [len(generator.blocks), generator.stride, generator.stem.out_channels] == [4, 8, 64]
    sizes = [sum(weight.numel() for weight in network.parameters()) for network in (generator, discriminator)]
    assert [round(size / 1e3) for size in sizes] == [424, 327]
