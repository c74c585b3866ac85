"""The advice of messages about volumes, followed. See `ways_out.py`."""

from __future__ import annotations

import numpy as np
import pytest
from support.volume_files import head, write_heads, write_nifti
from ways_out import SAYS_NO_WAY, User, command_in, options_in, taken, tried, ways_of

from translate.data.volumes import extra
from translate.errors import ConfigurationError

TINY = [
    "model.generator.filters=4",
    "model.generator.levels=3",
    "model.discriminator.filters=4",
    "model.discriminator.layers=1",
    "data.size=16",
    "data.load_size=16",
    "training.epochs=null",
    "training.steps=1",
    "--device",
    "cpu",
]
SAYS_NO_WAY |= {
    ("data/volumes/folder", "{} volumes in {}, cut into {} slices (data.axis={})"): "says what was found",
    ("data/volumes/anonymising", "translate --anonymise: kept are pixels, place and technique"): "says what was done",
    ("runs/volumes_measured", "volumes are compared voxel by voxel, as `translate convert` writes them"): "says how",
}


def _train(user: User, recipe: str = "mr2ct", *more: str) -> list[object]:
    return ["train", recipe, "--data", "set", "--out", "run", *TINY, *more]


def _heads(user: User, count: int = 3) -> None:
    write_heads(user.folder / "set", count)


@tried(
    ("data/volumes/folder", "data.input: samples of several volumes are not read; leave data.input and data.target out")
)
def several_volumes_a_sample(user: User) -> None:
    _heads(user)
    command = ["train", "pix2pix", *_train(user)[2:]]
    text = user.refused(*command, "data.input=[mr]", "data.target=[ct]")
    assert taken(text, "leave (data.input and data.target) out")
    user.gets(*command)


@tried(
    (
        "data/volumes/folder",
        "{}: slices are thickest across different axes: {}; say which is meant: data.axis=0 (axial), 1 (coronal) or 2 "
        "(sagittal)",
    )
)
def volumes_cut_in_two_ways(user: User) -> None:
    _heads(user)
    for name, values in zip(("mr", "ct"), head(9), strict=True):
        write_nifti(user.folder / f"set/{name}/p09.nii.gz", values, np.diag([1.0, 4, 1, 1]))
    text = user.refused(*_train(user))
    user.gets(*_train(user), taken(text, r"(data\.axis=0) \(axial\)"))


@tried(
    (
        "data/volumes/folder",
        "data.neighbours: for pairs, whose input gets them; unpaired, each domain is input and output: leave it out",
    )
)
def neighbours_without_pairs(user: User) -> None:
    _heads(user)
    check = ["data", "check", "set", "--set", "data.layout=unpaired"]
    text = user.refused(*check, "--set", "data.neighbours=1")
    assert taken(text, "(data.neighbours): .* leave it out")
    user.gets(*check)


@tried(
    (
        "data/volumes/folder",
        "{}: {} and {} lie on different grids{}: {} has {}, and {} {}; resample one to the other, or, if they are not "
        "registered, train with cyclegan and data.layout=unpaired",
    )
)
def pairs_of_other_grids(user: User) -> None:
    _heads(user)
    write_nifti(user.folder / "set/ct/p01.nii.gz", head(1)[1], np.diag([1.0, 1, 3, 1]))
    text = user.refused(*_train(user))
    recipe, setting = taken(text, "train with (cyclegan and data.layout=unpaired)").split(" and ")
    tiny = [word for word in TINY if "levels" not in word]
    user.gets("train", recipe, "--data", "set", "--out", "run", *tiny, "model.generator.blocks=1", setting)


@tried(("data/checks/looking", "data.domains.{}.kind: slices of volumes are images; save {} as PNG, or leave it out"))
def volumes_as_label_maps(user: User) -> None:
    _heads(user)
    command = ["train", "pix2pix", *_train(user)[2:]]
    text = user.refused(*command, "data.domains.mr.kind=labels")
    assert taken(text, r"(data\.domains\.mr\.kind): .* leave it out")
    user.gets(*command)


@tried(("recipe/mistakes", "{}: there are no 3-D networks; volumes go by slices, and data.neighbours adds more"))
def networks_of_three_dimensions(user: User) -> None:
    _heads(user)
    text = user.refused(*_train(user), "model.generator.kind=unet3d")
    user.gets(*_train(user), taken(text, "(data.neighbours) adds more") + "=1")


@tried(
    (
        "inference/volumes",
        "--depth {} is for images; volumes keep the values of their domain: leave it out, or give --depth float",
    ),
    ("inference/media", "--anonymise is for volumes, NIfTI files and DICOM series; leave it out"),
)
def what_is_for_one_of_them_only(user: User) -> None:
    _heads(user)
    user.gets(*_train(user))
    convert = ["convert", "run", "set/mr/p00.nii.gz", "ct.nii.gz", "--device", "cpu"]
    text = user.refused(*convert, "--depth", "8")
    user.gets(*convert, *taken(text, "give (--depth float)").split())
    user.photos("one.png")
    photos = ["convert", user.run("pix2pix"), "photos", "out", "--device", "cpu"]
    text = user.refused(*photos, "--anonymise")
    assert options_in(taken(text, ".* leave it out"), "convert") == ["--anonymise"]
    user.gets(*photos)


@tried(("runs/next_steps", "convert with `translate convert {} {} {}`"))
def after_training_on_volumes(user: User) -> None:
    _heads(user)
    text = user.gets(*_train(user))
    (user.folder / "set/mr").rename("patients")
    user.gets(*command_in(text, "convert"), "--device", "cpu")
    assert len(list((user.folder / "out").glob("*.nii.gz"))) == 3


@tried(
    ("data/volumes/extra", 'volumes need nibabel and pydicom: pip install "image-translate[medical]"'),
    reason="pip would need a network",
)
def without_the_libraries(user: User) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extra, "find_spec", lambda name: None)
        with pytest.raises(ConfigurationError, match="volumes need nibabel and pydicom"):
            extra.nibabel()


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
