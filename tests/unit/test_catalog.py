"""The cards of named data sets, and where their images are looked for."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from translate.data.catalog import cards as catalog
from translate.data.catalog.cards import NOT_STATED, cards, locate, locate_both, places, user_data, whereabouts
from translate.data.catalog.description import read_description
from translate.errors import ConfigurationError
from translate.utils import shipped as shipped_module
from translate.utils.shipped import shipped


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data set of this machine is found."""
    monkeypatch.delenv("TRANSLATE_DATA", raising=False)
    monkeypatch.setenv("TRANSLATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_card_is_sound() -> None:
    known = cards()
    files = sorted(path.stem for path in shipped("datasets").glob("*.yaml"))
    assert files == list(known) and len(files) == 19
    for name, card in known.items():
        assert card.name == name and card.licence and card.citation, name
        if card.url is None:
            assert bool(card.by_hand) != bool(card.a and card.b), name
            continue
        assert card.domains and len(set(card.domains)) == 2, name
        assert card.url.rsplit("/", 1)[1] in (f"{name}.zip", f"{name}.tar.gz"), name
        pairs = card.layout == "paired"
        assert all(isinstance(count, int) == pairs for count in card.counts.values()), name
        # Only the archives of the CycleGAN authors have been weighed.
        assert (card.sha256 is None) == (card.bytes is None) == pairs, name


def test_what_the_cards_say_is_what_was_published() -> None:
    known = cards()
    horses = known["horse2zebra"]
    assert horses.counts == {"train": (1067, 1334), "test": (120, 140)} and horses.bytes == 116_867_962
    assert horses.url.startswith("https://people.eecs.berkeley.edu/") and len(horses.mirrors) == 1
    facades = known["facades"]
    assert facades.domains == ("photo", "labels") and facades.direction == "BtoA"
    assert NOT_STATED in facades.licence
    # https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html: 202,599 images.
    assert sum(known["celeba"].counts.values()) == 202_599 and known["celeba"].layout == "labelled"
    assert known["celeba"].alternatives == (("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),)
    assert known["mnist2usps"].counts == {"train": (60000, 7291), "test": (10000, 2007)}
    assert known["maps"].domains == ("satellite", "map") and known["maps"].direction == "AtoB"


def test_a_mistake_in_a_card_is_found(tmp_path: Path) -> None:
    text = (shipped("datasets") / "horse2zebra.yaml").read_text()
    for good, bad, message in (
        ("sha256: a74d", "sha256: xyz", "line 13: sha256"),
        ("https://people", "file:///people", "line 9: url"),
        ("layout: unpaired\n", "", "layout: Field required"),
        ("domains:", "domain:", "domain"),
        ("domains: [horse, zebra]\n", "", "card.yaml: .*domains: Field required"),
        ("domains: [horse, zebra]", "domains: [horse, zebra, ass]", "line 4: domains: .*two different names"),
        ("url: https", "# https", "url: Field required"),
        ("layout: unpaired", "layout: unpaired\na: mnist", "a and b: both sets or none"),
    ):
        (tmp_path / "card.yaml").write_text(text.replace(good, bad))
        with pytest.raises(ConfigurationError, match=message):
            read_description(tmp_path / "card.yaml", catalog.Card)


def test_places_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert places("x") == [tmp_path / "home" / "data" / "x"]
    monkeypatch.setenv("TRANSLATE_DATA", str(tmp_path / "mine"))
    assert places("x") == [tmp_path / "mine" / "x", tmp_path / "home" / "data" / "x"]
    monkeypatch.delenv("TRANSLATE_HOME")
    for platform, variable, folder in (
        ("linux", "XDG_CACHE_HOME", "translate"),
        ("win32", "LOCALAPPDATA", "translate/Cache"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setenv(variable, str(tmp_path / platform))
        assert user_data() == tmp_path / platform / folder / "data"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_data() == Path.home() / ".cache" / "translate" / "data"


def test_a_name_is_looked_up_then_taken_for_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here, home, mine = (
        tmp_path / "horse2zebra",
        user_data() / "horse2zebra",
        tmp_path / "mine" / "horse2zebra",
    )
    monkeypatch.setenv("TRANSLATE_DATA", str(mine.parent))
    for folder in (here, home, mine):  # each later one comes before
        folder.mkdir(parents=True)
        found, card = locate("horse2zebra")
        assert found.resolve() == folder and card == cards()["horse2zebra"]
    assert locate(str(here)) == (here, None)
    assert locate("./horse2zebra")[1] is None
    (tmp_path / "own").mkdir()
    assert locate("own") == (Path("own"), None)


def test_what_is_not_there_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="translate data fetch horse2zebra") as caught:
        locate("horse2zebra")
    assert str(user_data() / "horse2zebra") in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"Did you mean horse2zebra.* A path will do"):
        locate("horse2zebar")
    with pytest.raises(ConfigurationError, match=r"Known: apple2orange, .*A path will do"):
        locate("qqq")
    for path in ("./qqq", "a/horse2zebra"):
        with pytest.raises(ConfigurationError, match="no such folder"):
            locate(path)


def test_what_cannot_be_fetched_is_told_how_to_get_by_hand() -> None:
    with pytest.raises(
        ConfigurationError, match=r"celeba: not here.*By hand: from https://mmlab.*img_align_celeba\.zip"
    ):
        locate("celeba")


def test_a_set_of_two_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRANSLATE_DATA", str(tmp_path / "mine"))
    card = cards()["usps2mnist"]
    with pytest.raises(ConfigurationError, match="usps2mnist: made of the sets usps and mnist"):
        locate("usps2mnist")
    with pytest.raises(ConfigurationError, match="usps: not here"):
        locate_both("usps2mnist")
    usps, mnist = tmp_path / "mine" / "usps", user_data() / "mnist"
    usps.mkdir(parents=True)
    assert whereabouts(card) == () and whereabouts(cards()["usps"]) == (usps,)
    mnist.mkdir(parents=True)
    assert locate_both("usps2mnist") == whereabouts(card) == (usps, mnist)
    (tmp_path / "own" / "inside").mkdir(parents=True)
    (tmp_path / "own" / "dataset.yaml").write_text("a: inside\nb: mnist\n")
    assert locate_both("./own") == (Path("own/inside"), mnist)
    with pytest.raises(ConfigurationError, match="mnist: one set, where a labelled source and a target are needed"):
        locate_both("mnist")


def test_shipped_files_are_found_in_a_checkout_and_in_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = shipped("datasets")
    package = tmp_path / "site-packages" / "translate"
    package.mkdir(parents=True)
    monkeypatch.setattr(shipped_module, "_PACKAGE", package)
    # Another distribution's package of that name is not ours.
    (package.parent / "datasets").mkdir()
    (package.parent / "datasets" / "__init__.py").touch()
    with pytest.raises(ConfigurationError, match="datasets/ is missing"):
        shipped("datasets")
    shutil.copytree(original, package / "datasets")
    assert shipped("datasets") == package / "datasets"
    shutil.rmtree(package / "datasets")
    shutil.copytree(original, package.parent / "datasets", dirs_exist_ok=True)
    assert shipped("datasets") == package.parent / "datasets"
