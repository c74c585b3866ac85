"""UVCGAN v2: networks of the published sizes and outputs, and a step of CycleGAN with them is the published one."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import SIZE, TINY, VIT, config_of, random_batch, tiny_model, tiny_trainer

from translate.errors import ConfigurationError
from translate.losses.adversarial import gradient_penalty
from translate.losses.feature_cache import FeatureCache
from translate.models.remembering import Memory
from translate.networks.batch_head import Earlier
from translate.networks.patchgan import PatchDiscriminator
from translate.networks.vit_unet import ViTUNetGenerator, ViTUNetSettings
from translate.training.trainer import step_seed

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "second"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")
HEADS = {"batch_norm": "uvcgan2_discriminator_bn", "batch_spread": "uvcgan2_discriminator_stdev"}
OF_LEVELS = (
    ("conv.downsample", "halve.{}"),
    ("conv.block.block.1", "down.{}.conv1"),
    ("conv.block.block.4", "down.{}.conv2"),
    ("deconv.upsample.1", "up.{}.enlarge.conv"),
    ("deconv.block.style_block", "up.{}.conv"),
    ("deconv.block.conv_block1.conv", "up.{}.conv1.conv"),
    ("deconv.block.conv_block2.conv", "up.{}.conv2.conv"),
    ("extra_tokens", "transformer.style"),
    ("trans_input.embed.projector", "transformer.place"),
    ("trans_input.output", "transformer.enter"),
    ("trans_output", "transformer.leave"),
    ("encoder.encoder", "transformer.blocks"),
)
WITHIN = (
    ("affine_mod", "affine"),
    ("re_alpha", "factor"),
    ("atten.in_proj_", "attend."),
    ("atten.out_proj", "merge"),
    ("ffn.net.0", "layers.widen"),
    ("ffn.net.2", "layers.narrow"),
)


def _known(name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    return torch.load(GOLDEN / f"{name}.pth", weights_only=True), arrays


def _of_generator(key: str) -> str:
    key = key.removeprefix("net.").replace("layer_input.0", "stem.conv").replace("layer_output", "head")
    inner = key.removeprefix("modnet.")
    level, rest = inner.count("inner_module."), inner.replace("inner_module.", "")
    for theirs, ours in OF_LEVELS:
        rest = rest.replace(theirs, ours.format(level))
    for theirs, ours in WITHIN:
        rest = rest.replace(theirs, ours)
    return rest


def _of_discriminator(key: str) -> str:
    for number, place in enumerate((0, 2, 5, 8)):
        key = key.replace(f"_body.model.{place}.", f"layers.{number}.conv.")
    first, second = (0, 2) if "_head.net.0" in key or "_head.net.2" in key else (1, 3)
    key = key.replace(f"_head.net.{first}", "head.conv1").replace(f"_head.net.{second}", "head.conv2")
    return key.replace("_head.", "head.")


@golden
def test_the_generator_with_published_weights_gives_the_published_outputs() -> None:
    network = ViTUNetGenerator(3, 3, widths=(4, 6, 8, 12), width=12, heads=3, blocks=3, hidden=24, embedding=8)
    state, known = _known("uvcgan2_generator")
    network.load_state_dict({_of_generator(key): value for key, value in state.items() if not key.endswith("_const")})
    with torch.no_grad():
        found, style = network.transformer(known["bottleneck_in"])
        assert (found - known["bottleneck_out"]).abs().max() < 1e-5
        assert (style - known["modulation"]).abs().max() < 1e-5
        assert ((network(known["input"] * 2 - 1) + 1) / 2 - known["output_eval"]).abs().max() < 1e-5


@golden
@pytest.mark.parametrize("head", HEADS)
def test_a_discriminator_with_published_weights_gives_the_published_scores_and_penalty(head: str) -> None:
    network = PatchDiscriminator(3, filters=4, spectral=True, head=head)
    state, known = _known(HEADS[head])
    learned = {key: value for key, value in state.items() if "running" not in key and "num_batches" not in key}
    network.load_state_dict({_of_discriminator(key): value for key, value in learned.items()})
    network.eval()  # keeps what spectral norm iterates
    earlier = {name: Earlier(known[f"cached_{name}"], torch.ones(3)) for name in ("real", "fake")}
    for name in earlier:
        score = network.head(network.layers(known[name]), earlier[name])
        assert (score - known[f"score_{name}"]).abs().max() < 1e-5
        loss = (score - int(name == "real")).square().mean()
        assert loss.item() == pytest.approx(known[f"loss_{name}"].item(), rel=1e-5)
    none = Earlier(known["cached_real"], torch.zeros(3))
    for score in (network(known["real"]), network.head(network.layers(known["real"]), none)):
        assert (score - known["score_real_without_cache"]).abs().max() < 1e-5

    memory = Memory(3, network, 32)
    for name in earlier:
        getattr(memory, name).push(earlier[name].features)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", lambda *shape, **options: 1 - known["penalty_alpha"].reshape(1, 1, 1, 1))
        score = lambda images: network(images)  # noqa: E731
        penalty = gradient_penalty(score, known["real"], known["fake"], 0, lambda share: memory.between(network, share))
    assert penalty.item() == pytest.approx(known["penalty"].item(), rel=1e-5)
    penalty.backward()
    weights = dict(network.named_parameters())
    compared = {
        _of_discriminator(key.removeprefix("gradient_")): value for key, value in known.items() if "gradi" in key
    }
    assert len(compared) == 3
    for key, gradient in compared.items():
        assert (weights[key].grad - gradient).abs().max() < 1e-4 * gradient.abs().max()


def test_networks_have_the_published_sizes() -> None:
    def size(network: torch.nn.Module) -> int:
        return sum(weight.numel() for weight in network.parameters())

    with torch.device("meta"):
        assert size(ViTUNetGenerator(3, 3)) == 32_192_231
        bodies, heads = zip(
            *((size(one.layers), size(one.head)) for one in (PatchDiscriminator(3, head=head) for head in HEADS)),
            strict=True,
        )
    assert set(bodies) == {2_756_544} and heads == (2_365_441, 2_369_025)


def test_any_size_of_the_stride_is_translated_and_every_pixel_sees_every_other() -> None:
    wide = {"initialisation": {"kind": "kaiming"}}  # what N(0, 0.02) leaves of so few channels is lost in rounding
    network = ViTUNetSettings.model_validate(VIT["generator"] | wide).initialised(3, SIZE).double()
    torch.nn.init.ones_(network.transformer.blocks[0].factor)
    images = torch.rand(1, 3, 4 * network.stride, 6 * network.stride, dtype=torch.float64) * 2 - 1
    other = images.clone()
    other[..., -1, -1] += 0.5
    with torch.no_grad():
        assert ((network(images) - network(other)).abs() > 0).all()
    residual = ViTUNetSettings.model_validate(VIT["generator"] | {"residual": True}).initialised(3, SIZE)
    assert (residual(images.float()) - images).abs().max() < 0.011, "begins at its input"


@pytest.mark.parametrize("options", [{}, {"padding": 2}, {"downsampling": "blur"}, {"layers": 2}])
def test_a_discriminator_knows_the_size_of_its_features(options: dict) -> None:
    network = PatchDiscriminator(3, filters=2, **options)
    for size in ((40, 57), (43, 64)):
        assert network.layers(torch.zeros(1, 3, *size)).shape[1:] == network.features_of(size)


def test_a_cache_keeps_the_newest_and_counts_none_that_was_not_seen() -> None:
    cache = FeatureCache(3, 1, 1, 1)
    for first, weights in ((0, [0, 1, 1]), (2, [1, 1, 1])):
        cache.push(torch.tensor([first, first + 1.0]).reshape(2, 1, 1, 1))
        assert cache.kept.weights.tolist() == weights
    assert cache.features.flatten().tolist() == [1, 2, 3]
    cache.push(torch.full((1, 1, 1, 1), torch.nan))
    assert cache.features.flatten().tolist() == [1, 2, 3]


def test_what_is_compared_with_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"set model\.discriminator\.head=batch_norm .* or model\.cache=0"):
        tiny_model("cyclegan", settings=TINY["cyclegan"] | {"cache": 2})
    with pytest.raises(ValueError, match="0 layers have none"):
        config_of("cyclegan", TINY["cyclegan"] | {"discriminator": {"layers": 0, "head": "batch_norm"}})
    with pytest.raises(ValueError, match="heads 3 does not split width 8"):
        ViTUNetSettings(width=8, heads=3)


class _Published:
    """The published step, written anew: queues, lists and torch's own Adam."""

    def __init__(self, model: torch.nn.Module, head: str) -> None:
        self.generators, self.discriminators = (
            {domain: copy.deepcopy(getattr(model, f"{role}_{domain}")) for domain in "ab"}
            for role in ("generator", "discriminator")
        )
        self.head, self.queues = head, {f"{kind} {domain}": [] for kind in ("real", "fake") for domain in "ab"}
        self.adams = [
            torch.optim.Adam([weight for net in nets.values() for weight in net.parameters()], 1e-3, (0.5, 0.999))
            for nets in (self.generators, self.discriminators)
        ]

    def score(self, domain: str, images: torch.Tensor, queue: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        own = self.discriminators[domain]
        features = own.layers(images)
        every = torch.cat([features, *(one[None] for one in queue)])
        if self.head == "batch_norm":
            every = F.batch_norm(every, None, None, own.head.norm.weight, own.head.norm.bias, training=True)
        else:
            spread = (every.var(0, correction=0) + 1e-6).sqrt().mean().reshape(1, 1, 1, 1)
            every = torch.cat([every, spread.expand(len(every), 1, *every.shape[2:])], 1)
        convs = own.head.conv1, own.head.conv2
        inner = F.leaky_relu(F.conv2d(every, convs[0].weight, convs[0].bias, padding=1), 0.01)
        return F.conv2d(inner, convs[1].weight, convs[1].bias, padding=1)[: len(images)], features.detach()

    def step(self, a: torch.Tensor, b: torch.Tensor, seed: int) -> None:
        torch.manual_seed(seed)
        to_a, to_b = self.generators["a"], self.generators["b"]
        real, fake = {"a": a, "b": b}, {"a": to_a(b), "b": to_b(a)}
        pairs = ((fake["a"], a, to_a, to_b(fake["a"]), b), (fake["b"], b, to_b, to_a(fake["b"]), a))
        total = 0
        for domain, (made, own, generator, back, start) in zip("ab", pairs, strict=True):
            total = total + (self.score(domain, made, self.queues[f"fake {domain}"])[0] - 1).square().mean()
            # In [0, 1]: lambda 5 for the cycle, and half of it for the identity.
            total = total + 5 * ((back - start) / 2).abs().mean() + 2.5 * ((generator(own) - own) / 2).abs().mean()
        self._move(0, total)
        total = 0
        for domain in "ab":
            x, y, queues = (
                real[domain],
                fake[domain].detach(),
                [self.queues[f"{kind} {domain}"] for kind in ("real", "fake")],
            )
            share = torch.rand([1, 1, 1, 1], dtype=x.dtype)
            between = ((1 - share) * x + share * y).requires_grad_()
            mixed = [(1 - share[0]) * one + share[0] * other for one, other in zip(*queues, strict=True)]
            value = self.score(domain, between, mixed)[0].mean((1, 2, 3)).sum()
            (slope,) = torch.autograd.grad(value, between, create_graph=True)
            total = total + ((2 * slope) ** 2).sum((1, 2, 3)).mean()  # of images in [0, 1], lambda 1
            for wanted, images, queue in ((1, x, queues[0]), (0, y, queues[1])):
                scores, seen = self.score(domain, images, queue)
                total = total + (scores - wanted).square().mean() / 2
                queue += list(seen)
                del queue[:-2]
        self._move(1, total)

    def _move(self, which: int, total: torch.Tensor) -> None:
        for adam in self.adams:
            adam.zero_grad()
        total.backward()
        self.adams[which].step()


@pytest.mark.parametrize("head", HEADS)
def test_whole_steps_are_the_published_ones(head: str) -> None:
    settings = copy.deepcopy(VIT)
    settings["discriminator"]["head"] = head
    model = tiny_model("cyclegan", settings=settings).double()
    torch.manual_seed(1)
    for weight in (weight for weight in model.parameters() if weight.shape == (1,)):
        torch.nn.init.normal_(weight)  # factors that begin as 0 leave much out
    trainer, published = tiny_trainer(model, seed=7), _Published(model.train(), head)
    for step in range(4):  # with a batch of 1, a cache of 2 is full before the third
        batch = random_batch(model, size=1, seed=step).map(torch.Tensor.double)
        trainer.step(batch)
        published.step(batch.a, batch.b, step_seed(7, step))
    ours = {name: net for name, net in model.named_children() if name.startswith(("generator", "discriminator"))}
    for name, network in ours.items():
        role, domain = name.split("_")
        theirs = getattr(published, f"{role}s")[domain].state_dict()
        for key, value in network.state_dict().items():
            assert (value - theirs[key]).abs().max() < 1e-8, f"{name}.{key}"
