"""The advice of messages about data sets, followed. See `ways_out.py`."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import paired_folder, put, unpaired_folder
from ways_out import User, command_in, parsed, settings_in, taken, tried, ways_of

from translate.data.catalog.cards import cards


@tried(("data/catalog/cards", "or point TRANSLATE_DATA to the folder that holds it"))
def a_named_set_that_is_elsewhere(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), "--out", "run", data="horse2zebra")
    text = user.refused(*command)
    unpaired_folder(user.folder / "sets" / "horse2zebra")
    user.monkeypatch.setenv(taken(text, r"point (\w+) to the folder that holds it"), str(user.folder / "sets"))
    assert "6 horse, 6 zebra" in user.gets(*command)


@parsed(
    "a download would need a network; test_fetch.py has a server of its own",
    ("data/catalog/cards", "Fetch it with `translate data fetch {}`"),
)
def a_named_set_to_fetch(user: User) -> None:
    words = command_in(user.refused(*user.train(user.recipe("cyclegan"), data="horse2zebra")))
    assert words == ["data", "fetch", "horse2zebra"] and words[2] in cards()
    asked = []
    user.monkeypatch.setattr(
        "translate.data.catalog.fetch.fetch", lambda card, *more: asked.append(card.name) or "there"
    )
    user.gets(*words)
    assert asked == ["horse2zebra"]


@tried(("data/checks/labels", "set data.balanced=true to show them more often"))
def a_rare_class(user: User) -> None:
    for name, count in {"a": 300, "b": 2, "c": 300}.items():
        put(Path("labelled"), f"test/{name}/0.png", *(f"train/{name}/{number}.png" for number in range(count)))
    (key,) = set(settings_in(user.gets("data", "check", "labelled"), "stargan"))
    user.gets(*user.train(user.recipe("stargan", steps=1), f"{key}=true", data="labelled"))


@tried(("data/cache/disk", "set TRANSLATE_HOME to another place, or use --cache ram"))
def a_cache_that_cannot_be_made(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=1), data=user.data())
    Path("file").write_text("x")
    user.monkeypatch.setenv("TRANSLATE_HOME", str(user.folder / "file"))
    text = user.refused(*command, "--cache", "disk")
    user.gets(*command, *taken(text, r"or use (--cache \w+)").split())
    user.monkeypatch.setenv(taken(text, r"set (\w+) to another place"), str(user.folder / "home"))
    user.gets(*command, "--cache", "disk")


@tried(("data/cache/disk", "is full ({} GB by data.cache_gb"))
def a_cache_that_is_full(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=1), "--cache", "disk", data=user.data())
    text = user.gets(*command, "data.cache_gb=1e-9")
    assert "is full" not in user.gets(*command, f"{settings_in(text, 'cyclegan')[0]}=1")


def _of_values(folder: Path, low: float, high: float, count: int = 4) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(str(folder)))
    for number in range(count):
        Image.fromarray(rng.uniform(low, high, (16, 16)).astype(np.float32)).save(folder / f"{folder.name}{number}.tif")


@tried(
    ("data/io/values", "train with a wider data.range, or data.domains.NAME.span of their domain"),
)
def files_of_values(user: User) -> None:
    for split in ("train", "test"):
        for domain in "AB":
            _of_values(Path("values", split + domain), -1000, 2000)
    command = user.train(user.recipe("cyclegan", steps=1), data="values")
    key = taken(user.refused(*command, "data.range=[0,500]"), r"with a wider (data\.range)")
    user.gets(*command, f"{key}=[-1000,2000]")
    check = ["data", "check", "values"]
    key = taken(user.refused(*check, "data.range=[0,500]", code=3), r"set a wider (data\.domains\.A\.span)")
    assert f"outside {key}" not in user.refused(*check, "data.domains.B.span=[0,500]", f"{key}=[-1000,2000]", code=3)


@tried(
    ("data/checks/shades", "nearly black to a network; set a narrower data.range"),
    ("runs/image_sets/scanning", "set data.range=[0,{}] for all"),
)
def dark_images_of_16_bits(user: User) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for domain in "AB":
            folder = Path("dark", split + domain)
            folder.mkdir(parents=True)
            for number in range(3):
                shades = rng.integers(0, 4095, (16, 16)).astype(np.uint16)
                Image.fromarray(shades).save(folder / f"{domain}{number}.png")
    command = user.train(user.recipe("cyclegan", steps=1), data="dark")
    assert "black" not in user.gets(*command)
    setting = taken(user.gets(*command, "data.range=[0,1]"), r"set (data\.range=\S+) for all")
    assert "black" not in user.gets(*command, "--set", setting)
    wide = user.gets("data", "check", "dark", "data.range=[0,60000]")
    key = taken(wide, r"ends at 60000: nearly black to a network; set a narrower (data\.range)")
    assert "black" not in user.gets("data", "check", "dark", f"{key}=[0,5000]")


@tried(
    ("data/io/images", "where images of the domain have {} (data.channels){}"),
    ("data/io/gate", "bytes once decoded, more than the limit of {}; cut it into parts, or convert with --max-pixels"),
)
def files_of_many_bands(user: User) -> None:
    tifffile = pytest.importorskip("tifffile", reason="needs the extra [test]")
    rng = np.random.default_rng(0)
    for folder in ("trainA", "trainB", "testA", "testB"):
        for number in range(3):
            path = put(Path("bands"), f"{folder}/x.png") / folder / f"{folder}{number}.tif"
            path.with_name("x.png").unlink()
            values = rng.integers(0, 256, (16, 16, 16), dtype=np.uint8)
            tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    command = user.train(user.recipe("cyclegan", steps=1), "--out", "run", data="bands")
    key = taken(user.refused(*command, "data.channels=3"), r"have 3 \((data\.channels)\)")
    assert f"{key}=16" == "data.channels=16"
    user.gets(*command, f"{key}=16")
    command = ["convert", "run", "bands/testA", "out", "--to", "B", "--device", "cpu"]
    text = user.refused(*command, "--max-pixels", "256", code=3)
    user.gets(*command, taken(text, r"bytes once decoded, .* or convert with (--max-pixels)"), "1000")


@tried(
    ("data/layouts/two_domains", " To take two of them, say which: --domains {}"),
    (
        "data/layouts/two_domains",
        "--domains label,img --set data.layout=paired takes label maps and photographs as pairs",
    ),
)
def folders_of_several_domains(user: User) -> None:
    for number in range(4):
        put(Path("seasons"), *(f"{name}/{name}{number}.png" for name in ("autumn leaves", "summer", "winter")))
        put(Path("hd"), *(f"train_{name}/{number}_{name}.png" for name in ("label", "img", "inst")))
    command = user.train(user.recipe("cyclegan", steps=1), data="seasons")
    words = shlex.split(taken(user.refused(*command), r"say which: (--domains .*)"))
    assert "3 autumn leaves, 3 summer" in user.gets(*command, *words)
    command = user.train(user.recipe("pix2pix", steps=1), data="hd")
    words = taken(user.refused(*command), r"(--domains label,img --set \S+) takes").split()
    assert "4 pairs" in user.gets(*command, *words)


@tried(("data/layouts/pairing", "but no pairs: {} (if they are pairs, set data.layout=paired)"))
def pairs_that_do_not_look_like_pairs(user: User) -> None:
    for folder, width in {"trainA": 24, "trainB": 16}.items():
        put(Path("alike"), *(f"{folder}/{number}.png" for number in range(6)), width=width, height=16)
    words = taken(user.gets("data", "check", "alike"), r"if they are pairs, set (data\.layout=\w+)").split()
    assert "6 pairs" in user.refused("data", "check", "alike", *words, code=3)
    user.gets(*user.train(user.recipe("pix2pix", steps=1), *words, data="alike"))


@tried(("data/layouts/columns", "data.follow_links: false"))
def links_to_files_elsewhere(user: User) -> None:
    put(Path("store"), *(f"{number}.png" for number in range(8)))
    for number, folder in enumerate(["trainA", "trainB"] * 4):
        put(Path("links"), f"{folder}/own{number}.png")
        Path("links", folder, f"link{number}.png").symlink_to(f"../../store/{number}.png")
    command = user.train(user.recipe("cyclegan", steps=1), data="links")
    setting = taken(user.gets(*command), r"(data\.follow_links: false) leaves them out").replace(": ", "=")
    assert "are followed" not in user.gets(*command, setting)


@tried(("data/layouts/pairing", "if they are pairs, set data.layout=paired to leave those out"))
def pairs_some_of_which_are_alone(user: User) -> None:
    paired_folder(Path("pairs"))
    put(Path("pairs"), *(f"trainA/alone{number}.png" for number in range(3)))
    command = user.train(user.recipe("pix2pix", steps=1), data="pairs")
    text = user.refused(*command)
    user.gets(*command, *taken(text, r"if they are pairs, set (\S+)").split())


@tried(
    ("data/decoding", "pixels are too few for a crop of {}: set a smaller data.size, or data.resize: square"),
    ("data/decoding", "the images of this pair differ in proportions: set data.resize: square, or crop them alike"),
)
def images_that_hold_no_crop_and_pairs_that_differ(user: User) -> None:
    for split in ("train", "test"):
        put(Path("small"), *(f"{split}A/{number}.png" for number in range(3)), width=9, height=30)
        put(Path("small"), *(f"{split}B/{number}.png" for number in range(3)), width=30, height=32)
    command = user.train(user.recipe("pix2pix", steps=1), "data.layout=paired", "data.resize=none", data="small")
    text = user.refused(*command)
    size, *square = settings_in(text, "pix2pix")[:2]
    assert size == "data.size" and "9 x 30" in text
    user.gets(*command, *(f"{key}=square" for key in square))
    text = user.refused(*user.train("pix2pix.yaml", "data.resize=short_side", "--out", "again", data="small"), code=1)
    user.gets(*command, taken(text, r"differ in proportions: set (data\.resize: square)").replace(": ", "="))


@tried(("data/layouts/folders", "To train without the pairs all the same, set data.layout=unpaired"))
def pairs_for_a_method_without(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=1), data=user.data("paired"))
    user.gets(*command, *taken(user.refused(*command), r"all the same, set (\S+)").split())


@tried(("utils/user_paths", "set TRANSLATE_HOME to a folder for data sets and resized images"))
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

    user.monkeypatch.setattr("translate.data.catalog.cards.cards", fails)
    name, value = taken(user.refused("data", code=1), r"prints with (\w+=1)").split("=")
    user.monkeypatch.setenv(name, value)
    taken(user.refused("data", code=1), "Traceback")


def _unlike(folder: Path) -> str:
    """Pairs of grey and RGB."""
    for split in ("train", "test"):
        for domain, mode in (("A", "L"), ("B", "RGB")):
            for number in range(3):
                name = f"{split}{domain}/{number}.png"
                path = put(folder, name, width=16, height=16) / name
                Image.open(path).convert(mode).save(path)
    return folder.name


@tried(
    ("models/cyclegan", "set model.identity: 0"),
    ("models/base", "model.name {}"),
    ("models/images", "; or set data.channels: 3 for both"),
    ("networks/autoencoder", "set model.autoencoder.alike: false"),
    ("networks/resnet", "set model.generator.residual: false"),
    ("networks/settings", "set model.generator.kind to unet or resnet"),
)
def domains_of_unlike_channels(user: User) -> None:
    data = _unlike(Path("unlike"))
    mistakes = {
        "cyclegan": ("model.identity=0.5", r"set (model\.identity: 0)"),
        "direct": ("training.steps=1", r"set (data\.channels: 3) for both"),
        "unit": ("model.autoencoder.alike=true", r"set (model\.autoencoder\.alike: false)"),
    }
    for model, (setting, advice) in mistakes.items():
        command = user.train(user.recipe(model, steps=1), "data.layout=unpaired", setting, data=data)
        user.gets(*command, taken(user.refused(*command), advice).replace(": ", "="))
    resnet = ("data.layout=unpaired", "model.identity=0", "model.generator.residual=true")
    command = user.train(user.recipe("cyclegan", steps=1), *resnet, data=data)
    setting = taken(user.refused(*command), r"set (model\.generator\.residual: false)").replace(": ", "=")
    user.gets(*command, setting)
    example = (Path(__file__).resolve().parents[2] / "examples/custom_generator.py").read_text()
    written = "build_between(self, channels_in: int, channels_out: int"
    assert written in example
    plugin = Path("gives_as_many.py")
    plugin.write_text(
        example.replace(written, "build(self, channels: int").replace(
            "(channels_in, channels_out, **", "(channels, channels, **"
        )
    )
    kind = ("model.generator.kind=attention-unet", "model.generator.filters=2", "data.size=32", "data.load_size=32")
    command = user.train(user.recipe("pix2pix", steps=1), *kind, "--plugin", str(plugin), data=data)
    unet, resnet_ = taken(user.refused(*command), r"set model\.generator\.kind to (\w+ or \w+)").split(" or ")
    for name in (unet, resnet_):
        user.gets(*command[:3], *command[3:], f"model.generator.kind={name}")


@tried(
    ("runs/image_sets/opening", "there are the domains {}; name one, or both anew"),
    ("runs/image_sets/opening", "set data.channels and data.range for all"),
)
def settings_of_domains_that_are_not_there(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=1), data=user.data())
    text = user.refused(*command, "data.domains.C.unit=HU")
    name = taken(text, r"there are the domains (\w+) and")
    user.gets(*command, f"data.domains.{name}.unit=HU")
    user.gets(*command, "data.domains={mr: {}, ct: {unit: HU}}")
    command = user.train(user.recipe("stargan", steps=1), data=user.data("labelled"))
    text = user.refused(*command, "data.domains.a.channels=3")
    channels, span = (taken(text, rf"set .*?({key}).* for all") for key in (r"data\.channels", r"data\.range"))
    user.gets(*command, f"{channels}=3", f"{span}=[0,1]")


@tried(
    ("runs/image_sets/scanning", "if they hold numbers of classes, set data.domains.{}.kind=labels"),
    ("runs/image_sets/scanning", "`translate data check {}`"),
)
def class_numbers_that_look_black_and_flat_images(user: User) -> None:
    for split in ("trainA", "trainB", "testA", "testB"):
        for number in range(3):
            shades = np.random.default_rng(number).integers(0, 12, (24, 24), dtype=np.uint8)
            pixels = shades if split.endswith("A") else np.full((24, 24, 3), 90, np.uint8)
            Path("dark", split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(Path("dark", split, f"{number}.png"))
    command = user.train(user.recipe("pix2pix", steps=1), data="dark")
    told = user.gets(*command, "--out", "run")
    setting = taken(told, r"A: 3 of 3 images looked at have 8-bit .* set (data\.domains\.A\.kind=labels)")
    assert "A: 3 of 3" not in user.gets(*command, setting, "--out", "again")
    checked = user.refused(*command_in(told, "data check"), code=3)  # the flat ones repeat one another
    assert "train B: one colour all over, nothing to learn from: 3: 0.png" in checked


@tried(
    ("data/checks/poor", "enlarged {} times to data.size={}, which adds nothing that can be learned; set {}{}"),
    ("data/checks/poor", " and data.load_size=null"),
)
def images_that_are_far_too_small(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=1), "--out", "run", data=user.data())
    told = user.gets(*command, "data.size=96", "data.load_size=100")
    settings = taken(told, r"set (data\.size=\d+ and data\.load_size=null)").split(" and ")
    assert "enlarged" not in user.gets(*command, "--out", "again", *settings)


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
