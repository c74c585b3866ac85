"""StarGAN: what it is told and what it pays, on a model small enough to follow."""

import pytest
import torch
from tiny import SIZE, TINY, random_batch, tiny_model, tiny_trainer

from translate.data.batch import Labelled
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError
from translate.models.base import ImageSpec, Request
from translate.models.stargan import StarGAN

ATTRIBUTES = ImageSpec(3, SIZE, ("x", "y"), (LabelGroup(2, exclusive=False),))


def _of_attributes(**settings):
    torch.manual_seed(0)
    config = StarGAN.Config.model_validate({**TINY["stargan"], **settings})
    return StarGAN(config, ATTRIBUTES)


def test_a_grid_says_which_columns_are_flipped_and_which_are_set():
    spec = ImageSpec(3, SIZE, ("Male", "Black", "Blond"), (LabelGroup(3, exclusive=False),), ((1, 2),))
    model = StarGAN(StarGAN.Config.model_validate(TINY["stargan"]), spec)
    batch = Labelled(torch.zeros(2, 3, SIZE, SIZE), torch.tensor([[1.0, 1, 0], [0, 0, 1]]))
    assert list(model.show(batch)) == ["input", "Male flipped", "Black", "Blond"]
    assert list(tiny_model("stargan").show(random_batch(tiny_model("stargan")))) == ["input", "a", "b", "c"]


def test_wanted_labels_are_the_batches_own_permuted():
    model = tiny_model("stargan")
    batch = random_batch(model, size=9)
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        wanted = model.generate(batch)["wanted"]
        assert torch.equal(wanted.sum(0), batch.labels.sum(0))
        seen.add(tuple(wanted.argmax(1).tolist()))
    assert len(seen) > 10


def test_a_batch_of_one_cannot_be_permuted_and_is_refused():
    model = tiny_model("stargan")
    with pytest.raises(ConfigurationError, match="2 or more"):
        model.generate(random_batch(model, size=1))


def test_the_generator_turns_after_so_many_of_the_discriminator():
    model = tiny_model("stargan", settings={**TINY["stargan"], "adversarial": {"discriminator_turns": 5}})
    assert {turn.name: turn.every for turn in model.turns()} == {"discriminator": 1, "generator": 5}


def test_label_accuracies_are_logged_and_move_nothing():
    model = tiny_model("stargan")
    batch = random_batch(model, size=4)
    fakes = model.generate(batch)
    for turn in model.turns():
        losses = turn.losses(batch, fakes)
        (measure,) = [value for name, value in losses.items() if name.startswith("label_accuracy/")]
        assert not measure.requires_grad and 0 <= measure <= 1


def test_a_generator_learns_to_do_as_it_is_told():
    """Classes are colours. After training, the class that is asked for is the one that is painted."""
    model = tiny_model("stargan", settings={**TINY["stargan"], "reconstruction": 1})
    trainer = tiny_trainer(model, lr=3e-3)
    for step in range(250):
        rng = torch.Generator().manual_seed(step)
        labels = torch.eye(3)[torch.randint(3, (8,), generator=rng)]
        images = 0.1 * torch.randn(8, 3, SIZE, SIZE, generator=rng) + labels[:, :, None, None] - 0.5
        trainer.step(Labelled(images.clamp(-1, 1), labels))
    greys = 0.1 * torch.randn(6, 3, SIZE, SIZE) - 0.2
    with torch.no_grad():
        for to in range(3):
            brightest = model.convert(greys, to).mean((2, 3)).argmax(1)
            assert (brightest == to).all(), f"told to go to {to}"


def test_edit_keeps_what_the_discriminator_reads_and_changes_what_is_asked():
    model = _of_attributes()
    asked = []
    model.relabel = lambda images, labels: asked.append(labels) or images
    model.read = lambda images: torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    images = torch.zeros(2, 3, SIZE, SIZE)
    model.translate(images, Request(clear=frozenset({1})))
    model.convert(images, 0)
    assert torch.equal(asked[0], torch.tensor([[1.0, 0], [0, 0]]))
    assert torch.equal(asked[1], torch.tensor([[1.0, 0], [1, 1]]))
    assert model.attributes == [0, 1] and tiny_model("stargan").attributes == []


def test_labels_are_read_off_images_of_any_size():
    model = _of_attributes()
    assert model.read(torch.rand(2, 3, 40, 24)).shape == (2, 2)


def test_the_penalty_is_on_the_sum_of_the_score_map_as_released():
    of_sum, of_mean = _of_attributes(penalised="sum"), _of_attributes(penalised="mean")
    images = torch.rand(2, 3, SIZE, SIZE)
    places = of_mean._penalised(images)[0].numel()
    torch.testing.assert_close(of_sum._penalised(images), of_mean._penalised(images).flatten(1).mean(1) * places)
    assert places == (SIZE // 4) ** 2
