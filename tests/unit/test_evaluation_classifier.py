"""The classifier that scores are read by: it learns, says how well, and is kept whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from tiny import CPU
from torch import Tensor, nn

from translate.data.batch import Labelled
from translate.data.labels import UNKNOWN, LabelGroup
from translate.errors import TranslateError
from translate.evaluation.classifier import Classifier, ClassifierSettings
from translate.evaluation.classifier_file import classifier_for, load_classifier
from translate.evaluation.classifier_training import Trained, accuracy, held_out_rows, train_classifier, train_on
from translate.models.base import ImageSpec

SIDE = 16
CLASSES = ImageSpec(3, SIDE, ("left", "right"), (LabelGroup(2, True),))
ATTRIBUTES = ImageSpec(3, SIDE, ("left", "bottom"), (LabelGroup(2, False),))
SETTINGS = ClassifierSettings(size=SIDE, steps=16, batch_size=16)


def test_few_images_are_not_shown_more_often_than_many():
    settings = ClassifierSettings()
    assert [settings.steps_for(images) for images in (1, 12, 100, 159, 160, 200_000)] == [4, 38, 313, 497, 500, 500]


def pictures(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise, brighter in one half and in one row of halves: uint8 images, which are `left`, which are `bottom`."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 100, (count, 3, SIDE, SIDE), generator=generator)
    left, bottom = torch.rand(2, count, generator=generator) < 0.5
    images[left, :, :, : SIDE // 2] += 80
    images[~left, :, :, SIDE // 2 :] += 80
    images[bottom, :, SIDE // 2 :] += 75
    images[~bottom, :, : SIDE // 2] += 75
    return images.to(torch.uint8), left, bottom


def of_classes(count: int, seed: int) -> Labelled:
    images, left, _ = pictures(count, seed)
    return Labelled(images, torch.stack([left, ~left], 1).float())


def of_attributes(count: int, seed: int) -> Labelled:
    images, left, bottom = pictures(count, seed)
    return Labelled(images, torch.stack([left, bottom], 1).float())


def stream(make) -> Iterator[Labelled]:
    seed = 100
    while True:
        seed += 1
        yield make(16, seed)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train_classifier(stream(of_classes), [of_classes(30, 1)], CLASSES, SETTINGS, CPU, quiet=True)


def test_it_learns_classes_and_says_how_well(trained):
    test = CPU.place(of_classes(60, 2))
    assert (trained.classifier.predict(test.images) == test.labels).all(1).float().mean() >= 0.95
    held_out = trained.facts["held_out"]
    assert held_out["images"] == 30
    assert held_out["all"] >= 0.9
    assert held_out["domains"].keys() == {"left", "right"}
    assert f"reads {held_out['all']:.1%} of 30 held-out training images right (left" in str(trained)
    assert not trained.classifier.training
    assert not any(weight.requires_grad for weight in trained.classifier.parameters())


def test_it_learns_attributes_where_labels_are_unknown():
    def unsure(count: int, seed: int) -> Labelled:
        batch = of_attributes(count, seed)
        hidden = torch.rand(batch.labels.shape, generator=torch.Generator().manual_seed(seed)) < 0.3
        return Labelled(batch.images, batch.labels.masked_fill(hidden, UNKNOWN))

    settings = ClassifierSettings(size=SIDE, steps=24, batch_size=16)
    found = train_classifier(stream(unsure), [unsure(40, 1)], ATTRIBUTES, settings, CPU, quiet=True)
    test = CPU.place(of_attributes(60, 2))
    assert (found.classifier.predict(test.images) == test.labels).float().mean() >= 0.95


def test_training_can_be_repeated_and_leaves_the_random_state_alone():
    settings = ClassifierSettings(size=SIDE, steps=2, batch_size=16)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two = (
        train_classifier(stream(of_classes), [of_classes(4, 1)], CLASSES, settings, CPU, quiet=True) for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    for key, value in one.classifier.state_dict().items():
        assert torch.equal(value, two.classifier.state_dict()[key]), key


def test_what_is_held_out_is_not_learnt_from(monkeypatch: pytest.MonkeyPatch):
    class Drawn:
        """An image in memory that counts how often it is read."""

        path = "memory"

        def __init__(self, pixels: np.ndarray) -> None:
            self.pixels, self.reads = pixels, 0

        def read(self, channels: int) -> np.ndarray:
            self.reads += 1
            return self.pixels

    batch = of_classes(40, 3)
    sources = [Drawn(image.permute(1, 2, 0).numpy().copy()) for image in batch.images]
    found = train_on(sources, batch.labels.numpy(), CLASSES, SETTINGS, CPU, flip=False, quiet=True)
    assert found.facts["held_out"]["images"] == 4
    # Read once: the loader keeps what it has read, and no image is in both parts.
    assert [source.reads for source in sources] == [1] * 40
    test = CPU.place(of_classes(40, 4))
    assert (found.classifier.predict(test.images) == test.labels).all(1).float().mean() >= 0.9
    assert held_out_rows(21).nonzero()[0].tolist() == [0, 10, 20]
    assert found.facts["steps"] == 16
    monkeypatch.setattr("translate.evaluation.classifier.EPOCHS", 1)
    few = train_on(sources, batch.labels.numpy(), CLASSES, SETTINGS, CPU, flip=False, quiet=True)
    assert few.facts["steps"] == 3 and "after 3 steps" in str(few), "36 images are three batches of 16"


def test_accuracy_of_a_classifier_that_always_says_the_same():
    class Constant(Classifier):
        def forward(self, images: Tensor) -> Tensor:
            return torch.tensor([[1.0, -1.0]]).expand(len(images), 2)

    images = torch.zeros(4, 3, SIDE, SIDE)
    found = accuracy(Constant(CLASSES), [Labelled(images, torch.eye(2)[[0, 0, 0, 1]])], CLASSES.domains, CPU)
    assert found == {
        "images": 4,
        "all": 0.75,
        "domains": {"left": 1.0, "right": 0.0},
        "present": {"left": [3, 3], "right": [0, 1]},
        "absent": {"left": [0, 1], "right": [3, 3]},
    }
    labels = torch.tensor([[1, 0], [0, UNKNOWN], [0, 0], [UNKNOWN, UNKNOWN]])
    found = accuracy(Constant(ATTRIBUTES), [Labelled(images, labels)], ATTRIBUTES.domains, CPU)
    assert found["domains"] == {"left": pytest.approx(1 / 3), "bottom": 1.0}
    assert found["present"] == {"left": [1, 1], "bottom": [0, 0]}
    assert found["absent"] == {"left": [0, 2], "bottom": [2, 2]}
    assert found["all"] == pytest.approx(3 / 5)
    none = Labelled(images[:1], torch.full((1, 2), UNKNOWN))
    assert accuracy(Constant(ATTRIBUTES), [none], ATTRIBUTES.domains, CPU)["domains"] == {"left": None, "bottom": None}


@pytest.mark.parametrize(("size", "pooled"), [(64, True), (32, False)])
def test_its_weights_bear_torchvisions_names_and_shapes(size, pooled):
    from torchvision.models import resnet18

    network = Classifier(ImageSpec(1, size, ("a", "b", "c"), (LabelGroup(3, True),))).network
    wanted = resnet18(weights=None, num_classes=3).state_dict()
    assert {k: v.shape for k, v in network.state_dict().items()} == {k: v.shape for k, v in wanted.items()}
    assert isinstance(network.maxpool, nn.MaxPool2d) is pooled


def test_features_are_what_the_last_layer_reads_whatever_the_size_and_channels():
    classifier = Classifier(ImageSpec(1, 64, ("a", "b"), (LabelGroup(2, False),)), size=32).eval()
    grey = torch.rand(2, 1, 64, 64) * 2 - 1
    features = classifier.features(grey)
    assert features.shape == (2, 512)
    torch.testing.assert_close(classifier.features(grey.expand(-1, 3, -1, -1)), features)
    # torchvision's own pass over the prepared image.
    torch.testing.assert_close(classifier.network(classifier._prepared(grey)), classifier(grey))
    assert torch.equal(classifier.predict(grey), (classifier(grey) > 0).float())
    # Black, standardised as torchvision does.
    black = classifier._prepared(torch.full((1, 1, 32, 32), -1.0))[0, :, 0, 0]
    torch.testing.assert_close(black, torch.tensor([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]))


def kept(folder, trained: Trained, data: dict, calls: list) -> Trained:
    def train() -> Trained:
        calls.append(data)
        return trained

    return classifier_for(folder, CLASSES, SETTINGS, data, train, CPU)


def test_a_kept_classifier_is_used_again_for_the_same_data_only(tmp_path, trained):
    folder, calls = tmp_path / "cache" / "classifier", []
    first = kept(folder, trained, {"set": "one", "images": 40}, calls)
    again = kept(folder, trained, {"set": "one", "images": 40}, calls)
    assert len(calls) == 1
    assert again.facts == first.facts
    assert first.facts["held_out"] == trained.facts["held_out"]
    assert {"domains", "groups", "settings", "sha256", "seconds", "data"} <= first.facts.keys()
    images = CPU.place(of_classes(8, 4)).images
    assert torch.equal(again.classifier(images), trained.classifier(images))
    kept(folder, trained, {"set": "other", "images": 40}, calls)
    assert len(calls) == 2
    assert load_classifier(folder).facts["data"]["set"] == "other"
    assert os.listdir(tmp_path / "cache") == ["classifier"]


@pytest.mark.parametrize("harm", ["weights", "facts", "missing", "format"])
def test_a_damaged_classifier_is_refused(tmp_path, trained, harm):
    folder = tmp_path / "classifier"
    kept(folder, trained, {}, [])
    weights, facts = folder / "weights.safetensors", folder / "facts.json"
    if harm == "weights":
        damaged = bytearray(weights.read_bytes())
        damaged[-9] ^= 1
        weights.write_bytes(damaged)
    elif harm == "facts":
        facts.write_text(facts.read_text()[:-9])
    elif harm == "missing":
        weights.unlink()
    else:
        facts.write_text(json.dumps({**json.loads(facts.read_text()), "format": 3}))
    with pytest.raises(TranslateError, match=r"classifier: incomplete or damaged classifier .*delete the folder"):
        kept(folder, trained, {}, [])


def test_a_kept_classifier_from_before_its_errors_were_counted_is_trained_again(tmp_path, trained):
    folder, calls = tmp_path / "classifier", []
    kept(folder, trained, {}, calls)
    facts = json.loads((folder / "facts.json").read_text())
    for kind in ("present", "absent"):
        del facts["held_out"][kind]
    (folder / "facts.json").write_text(json.dumps({**facts, "format": 1}))
    assert kept(folder, trained, {}, calls).facts["held_out"] == trained.facts["held_out"]
    assert len(calls) == 2


def test_a_folder_that_cannot_be_written_is_told(tmp_path, trained):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TranslateError, match="could not be saved"):
        kept(tmp_path / "file" / "classifier", trained, {}, [])
