"""Projected discriminators: what they see is the paper's projection, and only their heads learn."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from frozen_files import VGG, seen_by, vgg_file
from safetensors.torch import save_file
from tiny import SIZE, SPECS, TINY, random_batch, tiny_model, tiny_trainer

from translate.data.batch import Labelled
from translate.errors import ConfigurationError, TranslateError
from translate.evaluation.classifier import Classifier
from translate.models.images import ImageSpec
from translate.networks.pretrained import read_stages, standardised
from translate.networks.projected import ProjectedDiscriminator, ProjectedSettings
from translate.training.state import network_weights, restore, training_state

TINY_HEADS = {"kind": "projected", "weights": str(VGG), "filters": 2, "enlarged": 0}


def _projected(**settings: object) -> dict:
    return TINY["pix2pix"] | {"discriminator": TINY_HEADS | settings}


def test_what_the_heads_see_is_the_papers_projection(tmp_path: Path) -> None:
    """Section 3.2, written out in float64: an image beside its input, enlarged, standardised, each seen by itself."""
    path, vgg = vgg_file(tmp_path / "vgg.pth", seed=1)
    network = ProjectedDiscriminator(6, weights=path, filters=2, enlarged=32, normalisation="none").double().eval()
    stack = torch.rand(2, 6, 16, 24).double() * 2 - 1
    larger = F.interpolate(stack, (32, 48), mode="bilinear", align_corners=False) / 2 + 0.5
    mean, deviation = (
        torch.tensor(one).double()[:, None, None] for one in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    seen = [seen_by(vgg, (one - mean) / deviation)[1:] for one in larger.split(3, 1)]
    logits = network(stack)
    assert network._projection is not None
    rng, mixed = torch.Generator().manual_seed(0), []
    for level, (first, second) in enumerate(zip(*seen, strict=True)):
        both = torch.cat([first, second], 1)
        weight = torch.randn(2 * 2**level, both.shape[1], 1, 1, generator=rng) * (2 / both.shape[1]) ** 0.5
        mixed.append(F.conv2d(both, weight.double()))
    weights = []
    for wide, narrow in ((2, 2), (2, 4), (4, 8), (8, 16)):
        weights.append(torch.randn(wide, narrow, 1, 1, generator=rng) * (2 / narrow) ** 0.5)
    below = 0
    for level in (3, 2, 1, 0):
        doubled = F.interpolate(mixed[level] + below, scale_factor=2, mode="bilinear", align_corners=True)
        below = F.conv2d(doubled, weights[level].double())
        torch.testing.assert_close(logits[level], network.heads[level](below))
        assert logits[level].shape[1] == 1
    assert len({one.shape for one in logits}) == 1, "all heads end at the same size"
    frozen = [
        *network._projection.channels,
        *network._projection.scales,
        *network._projection.stages.parts.parameters(),
    ]
    assert {one.dtype for one in frozen} == {torch.float64}, (
        "moved once, to where the images are, and not at every call"
    )
    assert all(torch.equal(maps[-1], one) for maps, one in zip(network.maps(stack), logits, strict=True))


def test_a_step_moves_the_heads_alone_and_no_weight_of_the_classifier_is_part_of_the_model() -> None:
    model = tiny_model("pix2pix", settings=_projected())
    trainer = tiny_trainer(model)
    frozen = model.discriminator._projection.stages.parts
    before = [weight.clone() for weight in frozen.parameters()]
    heads = {key: value.clone() for key, value in model.discriminator.named_parameters()}
    trainer.step(random_batch(model))
    for one, other in zip(frozen.parameters(), before, strict=True):
        assert torch.equal(one, other) and one.grad is None
    moved = [key for key, value in model.discriminator.named_parameters() if not torch.equal(value, heads[key])]
    assert len(moved) > 0.6 * len(heads)
    state = model.discriminator.state_dict()
    assert bytes(state.pop("file_seen").tolist()) == hashlib.sha256(VGG.read_bytes()).digest()
    assert all(key.startswith("heads.") for key in state)
    assert float(trainer.read_losses()["generator/adversarial"]) > 0


def test_the_generator_learns_by_what_the_classifier_sees() -> None:
    model = tiny_model("pix2pix", settings=_projected() | {"reconstruction": 0})
    batch = random_batch(model)
    fakes = model.generate(batch)
    (turn,) = [turn for turn in model.turns() if turn.trains_generators]
    (slope,) = torch.autograd.grad(turn.losses(batch, fakes)["adversarial"], fakes["output"])
    assert slope.abs().max() > 0


def _saved(trainer):
    parts = network_weights(trainer), {}, training_state(trainer)
    return trainer.steps, *({key: value.clone() for key, value in part.items()} for part in parts)


def test_a_resumed_run_takes_the_same_steps_and_refuses_another_file(tmp_path: Path) -> None:
    path, _ = vgg_file(tmp_path / "vgg.pth")
    trainer = tiny_trainer(tiny_model("pix2pix", settings=_projected(weights=str(path))))
    for step in range(3):
        trainer.step(random_batch(trainer.model, seed=step))
    saved = _saved(trainer)
    trainer.step(random_batch(trainer.model, seed=3))
    resumed = tiny_trainer(tiny_model("pix2pix", seed=5, settings=_projected(weights=str(path))))
    restore(resumed, *saved)
    resumed.step(random_batch(resumed.model, seed=3))
    for one, other in zip(trainer.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)

    vgg_file(path, seed=9)
    another = tiny_trainer(tiny_model("pix2pix", settings=_projected(weights=str(path))))
    begins = hashlib.sha256(VGG.read_bytes()).hexdigest()[:12]
    with pytest.raises(TranslateError, match=rf"not the file that these heads learnt from, .* {begins}; put that file"):
        restore(another, *saved)
    begun = tiny_model("pix2pix", settings=_projected(weights=str(path)))
    begun.load_state_dict({**begun.state_dict(), **saved[1]})
    with pytest.raises(TranslateError, match="not the file that these heads learnt from"):
        begun.turns()


def test_converting_needs_no_file_and_training_says_which_it_lacks() -> None:
    model = tiny_model("pix2pix", settings=_projected(weights="nowhere.pth"))
    assert model.convert(torch.zeros(1, 3, SIZE, SIZE)).shape == (1, 3, SIZE, SIZE)
    with pytest.raises(ConfigurationError, match=r"model\.discriminator\.weights: no weights at nowhere\.pth: give"):
        model.turns()


def test_channels_that_no_classifier_sees_are_refused() -> None:
    settings = ProjectedSettings.model_validate_json(json.dumps(TINY_HEADS))
    for channels in (1, 2, 3, 6, 9):
        assert len(settings.build(channels, SIZE)(torch.zeros(2, channels, SIZE, SIZE))) == 4
    for channels in (4, 5, 16):
        with pytest.raises(ConfigurationError, match=rf"and {channels} channels are neither; set model\.discrim"):
            settings.build(channels, SIZE)


def test_a_kept_classifier_sees_and_its_folder_names_it(tmp_path: Path) -> None:
    classifier = Classifier(ImageSpec(3, 64, ("a", "b", "c"), SPECS[Labelled].groups)).eval()
    save_file(classifier.network.state_dict(), tmp_path / "weights.safetensors")
    stages = read_stages(tmp_path)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        found = stages(standardised(images))
        torch.testing.assert_close(found[-1].mean((2, 3)), classifier.features(images))
    assert [one.shape[1:] for one in found] == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)]
    assert stages.widths == (64, 128, 256, 512)


@pytest.mark.parametrize("spoilt", ["missing", "gap", "other", "text"])
def test_files_of_something_else_are_refused_by_name(tmp_path: Path, spoilt: str) -> None:
    path, state = vgg_file(tmp_path / "vgg.pth")
    if spoilt == "missing":
        del state["features.2.bias"]
    if spoilt == "gap":
        state = {key.replace("features.20", "features.22"): value for key, value in state.items()}
    if spoilt == "other":
        state = {"layer.weight": torch.zeros(3)}
    torch.save(state, path)
    if spoilt == "text":
        path.write_text("nothing")
    with pytest.raises(ValueError, match=r"vgg\.pth: "):
        read_stages(path)
