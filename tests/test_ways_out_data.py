"""The advice of messages about data sets, followed. See `ways_out.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import paired_folder, put, unpaired_folder
from ways_out import User, command_in, parsed, settings_in, taken, tried, ways_of

from translate.data.catalog import cards


@tried(("data/catalog", "or point TRANSLATE_DATA to the folder that holds it"))
def a_named_set_that_is_elsewhere(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), "--out", "run", data="horse2zebra")
    text = user.refused(*command)
    unpaired_folder(user.folder / "sets" / "horse2zebra")
    user.monkeypatch.setenv(taken(text, r"point (\w+) to the folder that holds it"), str(user.folder / "sets"))
    assert "6 horse, 6 zebra" in user.gets(*command)


@parsed(
    "a download would need a network; test_fetch.py has a server of its own",
    ("data/catalog", "Fetch it with `translate data fetch {}`"),
)
def a_named_set_to_fetch(user: User) -> None:
    words = command_in(user.refused(*user.train(user.recipe("cyclegan"), data="horse2zebra")))
    assert words == ["data", "fetch", "horse2zebra"] and words[2] in cards()
    asked = []
    user.monkeypatch.setattr("translate.data.fetch.fetch", lambda card, *more: asked.append(card.name) or "there")
    user.gets(*words)
    assert asked == ["horse2zebra"]


@tried(("data/check_labels", "data.balanced shows them more often"))
def a_rare_class(user: User) -> None:
    for name, count in {"a": 300, "b": 2, "c": 300}.items():
        put(Path("labelled"), f"test/{name}/0.png", *(f"train/{name}/{number}.png" for number in range(count)))
    (key,) = set(settings_in(user.gets("data", "check", "labelled"), "stargan"))
    user.gets(*user.train(user.recipe("stargan", steps=1), f"{key}=true", data="labelled"))


@tried(("data/disk_cache", "set TRANSLATE_HOME to another place, or use --cache ram"))
def a_cache_that_cannot_be_made(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=1), data=user.data())
    Path("file").write_text("x")
    user.monkeypatch.setenv("TRANSLATE_HOME", str(user.folder / "file"))
    text = user.refused(*command, "--cache", "disk")
    user.gets(*command, *taken(text, r"or use (--cache \w+)").split())
    user.monkeypatch.setenv(taken(text, r"set (\w+) to another place"), str(user.folder / "home"))
    user.gets(*command, "--cache", "disk")


@tried(("data/disk_cache", "is full ({} GB by data.cache_gb"))
def a_cache_that_is_full(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=1), "--cache", "disk", data=user.data())
    text = user.gets(*command, "data.cache_gb=1e-9")
    assert "is full" not in user.gets(*command, f"{settings_in(text, 'cyclegan')[0]}=1")


def _of_values(folder: Path, low: float, high: float, count: int = 4) -> None:
    folder.mkdir(parents=True)
    dice = np.random.default_rng(len(str(folder)))
    for number in range(count):
        Image.fromarray(dice.uniform(low, high, (16, 16)).astype(np.float32)).save(
            folder / f"{folder.name}{number}.tif"
        )


@tried(
    ("data/facts", "the recipe says data.range: [{}, {}], which holds all values"),
    ("data/facts", "where the recipe says data.channels: 1"),
    ("data/values", "set the recipe's data.range to the values' span"),
)
def files_of_values(user: User) -> None:
    for split in ("train", "test"):
        for domain in "AB":
            _of_values(Path("values", split + domain), -1000, 2000)
    command = user.train(user.recipe("cyclegan", steps=1), data="values")
    text = user.gets("data", "check", "values")
    (key,) = set(settings_in(user.refused(*command), "cyclegan"))
    span = taken(text, r"the recipe says data\.range: (\[.*?\])")
    channels = taken(text, r"the recipe says (data\.channels: 1)").replace(": ", "=")
    user.gets(*command, f"{key}={span}", channels)


@tried(("data/facts", "which stretches all 16-bit shades"))
def dark_images_of_16_bits(user: User) -> None:
    dice = np.random.default_rng(0)
    for split in ("train", "test"):
        for domain in "AB":
            folder = Path("dark", split + domain)
            folder.mkdir(parents=True)
            for number in range(3):
                shades = dice.integers(0, 4095, (16, 16)).astype(np.uint16)
                Image.fromarray(shades).save(folder / f"{domain}{number}.png")
    text = user.gets("data", "check", "dark")
    setting = taken(text, r"the recipe says (data\.range: \[.*?\])").replace(": ", "=")
    user.gets(*user.train(user.recipe("cyclegan", steps=1), setting, "data.channels=1", data="dark"))


@tried(("data/facts", "as many as the bands of TIFF"), ("data/images", "where the recipe says data.channels: {}{}"))
def files_of_many_bands(user: User) -> None:
    tifffile = pytest.importorskip("tifffile", reason="needs the extra [tiff]")
    dice = np.random.default_rng(0)
    for split in ("train", "test"):
        for domain in "AB":
            for number in range(3):
                path = Path("bands", split + domain, f"{domain}{number}.tif")
                path.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(
                    path,
                    dice.integers(0, 256, (16, 16, 5), dtype=np.uint8),
                    photometric="minisblack",
                    planarconfig="contig",
                )
    command = user.train(user.recipe("cyclegan", steps=1), data="bands")
    assert "data.channels: 3" in user.refused(*command)
    text = user.gets("data", "check", "bands")
    user.gets(*command, taken(text, r"the recipe says (data\.channels: \d)").replace(": ", "="))


@tried(("data/folders", "if they are pairs, --set data.layout=paired leaves those out"))
def pairs_some_of_which_are_alone(user: User) -> None:
    paired_folder(Path("pairs"))
    put(Path("pairs"), *(f"trainA/alone{number}.png" for number in range(3)))
    command = user.train(user.recipe("pix2pix", steps=1), data="pairs")
    text = user.refused(*command)
    user.gets(*command, *taken(text, r"if they are pairs, (--set \S+)").split())


@tried(("data/folders", "To train without the pairs all the same, say so: --set data.layout=unpaired"))
def pairs_for_a_method_without(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=1), data=user.data("paired"))
    user.gets(*command, *taken(user.refused(*command), r"say so: (--set \S+)").split())


@tried(("home", "set TRANSLATE_HOME to a folder for data sets and resized images"))
def a_user_without_a_home(user: User) -> None:
    def unknown(of: object) -> None:
        raise KeyError("no such user")

    for name in ("HOME", "XDG_CACHE_HOME", "TRANSLATE_HOME"):
        user.monkeypatch.delenv(name, raising=False)
    user.monkeypatch.setattr("pwd.getpwuid", unknown)
    user.monkeypatch.setenv(taken(user.refused("data"), r"set (TRANSLATE_\w+) to a folder"), str(user.folder / "place"))
    user.gets("data")


@tried(("cli/common", "what it prints with TRANSLATE_DEBUG=1"))
def an_error_that_nobody_foresaw(user: User) -> None:
    def fails() -> None:
        raise KeyError("a fault")

    user.monkeypatch.setattr("translate.data.catalog.cards", fails)
    name, value = taken(user.refused("data", code=1), r"prints with (\w+=1)").split("=")
    user.monkeypatch.setenv(name, value)
    taken(user.refused("data", code=1), "Traceback")


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
