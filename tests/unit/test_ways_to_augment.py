"""What models can make of a labelled picture: which targets in turn, which labels follow, and how often they differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from labelled_files import attribute_set
from tiny import CPU, SIZE, TINY, put, tiny_model

from translate.data.annotated import open_annotated
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.models import MODELS
from translate.models.base import ImageSpec, Request
from translate.runs.augmenting.variants import Loaded, Pick, Way, pick, ways_of


def loaded(name: str, spec: ImageSpec, run: str = "run", **settings: object) -> Loaded:
    torch.manual_seed(0)
    kind = MODELS[name]
    model = kind(kind.Config.model_validate({**TINY[name], **settings}), spec)
    return Loaded(Path(run), Converter(model, spec, CPU))


def two_domains(*names: str, run: str = "run") -> Loaded:
    return loaded("cyclegan", ImageSpec(3, SIZE, names or ("horse", "zebra")), run)


def attributes(*names: str, alternatives: tuple[tuple[int, ...], ...] = ()) -> Loaded:
    return loaded("stargan", ImageSpec(3, SIZE, names, (LabelGroup(len(names), exclusive=False),), alternatives))


def classes(root: Path, *names: str):
    put(root, *(f"train/{name}/{number}.png" for name in names for number in range(2)))
    return open_annotated(root)


def texts(ways: list[Way]) -> list[str]:
    return [" ".join(way.to) for way in ways]


def test_pictures_of_each_class_go_to_the_other_one(tmp_path):
    labelled = classes(tmp_path, "cat", "horse", "zebra")
    ways = ways_of([two_domains()], (), labelled)
    assert sorted(texts(ways)) == ["horse", "zebra"]
    found = {
        (one.labels["cat"], one.labels["horse"], " ".join(way.to)): way.changes(labelled, one)
        for one in labelled.originals
        for way in ways
    }
    assert found == {
        (1, 0, "horse"): None, (1, 0, "zebra"): None,
        (0, 1, "horse"): None, (0, 1, "zebra"): {"horse": False, "zebra": True},
        (0, 0, "horse"): {"zebra": False, "horse": True}, (0, 0, "zebra"): None,
    }  # fmt: skip


def test_labels_stay_where_the_models_domains_are_none_of_them(tmp_path):
    labelled = classes(tmp_path, "cat", "dog")
    (way,) = ways_of([two_domains("day", "night")], ("night",), labelled)
    assert [way.changes(labelled, one) for one in labelled.originals] == [{}] * 4
    with pytest.raises(ConfigurationError, match="--to is needed: this model converts to"):
        ways_of([two_domains("day", "night")], (), labelled)
    with pytest.raises(ConfigurationError, match=r"--to nigt: .*did you mean 'night'"):
        ways_of([two_domains("day", "night")], ("nigt",), labelled)


def test_attributes_follow_the_model_and_what_a_picture_has_is_not_set_again(tmp_path):
    labelled = open_annotated(attribute_set(tmp_path))  # 0 has none, 1 Bald, 2 Male, 3 both, ...
    model = attributes("Male", "Bald", "Young", alternatives=((1, 2),))
    ways = ways_of([model], (), labelled)
    assert texts(ways) == ["Male", "-Male", "Bald", "Young"]  # alternatives are only set
    by_name = {Path(one.name).stem: one for one in labelled.originals}
    changes = {" ".join(way.to): way.changes(labelled, by_name["3"]) for way in ways}
    assert changes == {"Male": None, "-Male": {"Male": False}, "Bald": None, "Young": {"Young": True, "Bald": False}}
    (both,) = ways_of([model], ("Young,-Male",), labelled)
    assert both.changes(labelled, by_name["3"]) == {"Young": True, "Bald": False, "Male": False}


def test_an_attribute_that_the_table_lacks_changes_no_label(tmp_path):
    labelled = open_annotated(attribute_set(tmp_path))
    (way,) = ways_of([attributes("Smiling", "Male")], ("Smiling",), labelled)
    assert way.changes(labelled, labelled.originals[0]) == {}


def test_targets_and_runs_take_turns_and_nothing_is_made_twice(tmp_path):
    labelled = classes(tmp_path, "cat", "dog")
    models = [two_domains("day", "night", run="one"), two_domains("day", "night", run="two")]
    ways = ways_of(models, ("night", "day"), labelled)
    assert [(way.loaded.run.name, *way.to) for way in ways] == [
        ("one", "night"), ("two", "night"), ("one", "day"), ("two", "day"),
    ]  # fmt: skip
    free = [(way, {}) for way in ways]
    assert [ways.index(one.way) for one in pick(free, 0, 3)] == [0, 1, 2]
    assert [ways.index(one.way) for one in pick(free, 3, 3)] == [3, 0, 1]
    every = pick(free, 1, 100)
    assert [ways.index(one.way) for one in every] == [1, 2, 3, 0] and {one.seed for one in every} == {0}
    assert [one.tag(several=True) for one in pick(free, 0, 2)] == ["one-night", "two-night"]


def test_names_that_files_cannot_have_are_spelt_otherwise(tmp_path):
    labelled = classes(tmp_path, "cat", "dog")
    (way,) = ways_of([two_domains("day", "a/b c", run="x/my run")], ("a/b c",), labelled)
    assert Pick(way, 2, {}).tag(several=True) == "my-run-a-b-c-3"


def test_a_model_with_noise_makes_as_many_as_are_wanted(tmp_path):
    put(tmp_path, "images/a.png", "masks/a.png")
    labelled = open_annotated(tmp_path)
    noisy = loaded("pix2pix", ImageSpec(3, SIZE, ("A", "B")), generator={"kind": "unet", "filters": 4, "levels": 3,
                   "dropout": 0.5, "dropout_placement": "paper"})  # fmt: skip
    (way,) = ways_of([noisy], (), labelled)
    chosen = pick([(way, {})], 0, 3)
    assert [one.seed for one in chosen] == [0, 1, 2] and [one.tag(False) for one in chosen] == ["B", "B-2", "B-3"]
    images = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
    made = []
    for seed in (0, 1, 2, 0):
        noisy.converter.draw(seed)
        made.append(noisy.converter.convert_floats(images, Request.to(1)))
    assert torch.equal(made[0], made[3])
    assert not torch.equal(made[0], made[1]) and not torch.equal(made[1], made[2])


def test_only_a_model_with_dropout_in_conversion_draws_noise():
    assert not tiny_model("cyclegan").draws_noise
    spec = ImageSpec(3, SIZE, ("A", "B"))
    for mode, dropout, draws in (("train", 0.5, True), ("eval", 0.5, False), ("train", 0.0, False)):
        unet = {"kind": "unet", "filters": 4, "levels": 3, "dropout": dropout, "dropout_placement": "paper"}
        assert loaded("pix2pix", spec, generator=unet, convert_mode=mode).converter.model.draws_noise == draws


def test_what_is_no_picture_is_refused(tmp_path):
    from translate.data.domain import Domain

    put(tmp_path / "masks", "images/a.png", "masks/a.png")
    labels = Domain("labels", 2, dtype="uint8", kind="labels")
    photos = Domain("photos", 3)
    spec = ImageSpec(3, SIZE, ("photos", "labels"), each=(photos, labels))
    with pytest.raises(ConfigurationError, match="augment needs a model that gives pictures"):
        ways_of([loaded("pix2pix", spec)], (), open_annotated(tmp_path / "masks"))
    spec = ImageSpec(3, SIZE, ("labels", "photos"), each=(labels, photos))
    with pytest.raises(ConfigurationError, match=r"takes label maps of 2 classes.*holds class folders"):
        ways_of([loaded("pix2pix", spec)], (), classes(tmp_path / "classes", "a", "b"))
    labelled = open_annotated(tmp_path / "masks")
    (way,) = ways_of([loaded("pix2pix", spec)], (), labelled)
    assert way.source(labelled.originals[0]) == tmp_path / "masks" / "masks" / "a.png"


def test_a_model_that_changes_the_size_is_refused_where_labels_are_places(tmp_path, monkeypatch):
    put(tmp_path / "masks", "images/a.png", "masks/a.png")
    model = two_domains("day", "night")
    monkeypatch.setattr(model.converter, "convert_floats", lambda images, request: images.repeat(1, 1, 2, 2))
    with pytest.raises(ConfigurationError, match=r"boxes and masks.*would no longer fit"):
        ways_of([model], ("night",), open_annotated(tmp_path / "masks"))
    assert ways_of([model], ("night",), classes(tmp_path / "classes", "a", "b"))
