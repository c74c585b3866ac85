"""The gallery: each picture has its commands on the page, is small, and is what they make."""

import importlib
import re

import numpy as np
import pytest
from documents import ROOT, text_of
from PIL import Image

DOCS = ROOT / "docs"
PICTURES = DOCS / "pictures" / "gallery"


@pytest.fixture
def make(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "gallery"))
    return importlib.import_module("make")


def test_each_picture_of_the_gallery_has_commands_and_each_command_a_picture(make):
    shown = re.findall(r"\(pictures/gallery/([\w-]+)\.webp\)", text_of(DOCS / "gallery.md"))
    assert shown == list(make.commands()) and len(shown) > 9
    assert {path.name for path in PICTURES.iterdir()} == {f"{name}.webp" for name in shown}
    for name, lines in make.commands().items():
        assert any(words[:2] == ["translate", "train"] and f"runs/{name}" in words for words in lines), name


def test_each_recipe_of_a_folder_of_photos_shows_a_picture_where_it_is_explained(make):
    for page, names in {
        "restoration": ("denoise", "colorize"),
        "super-resolution": ("super-resolution",),
    }.items():
        shown = re.findall(r"\(pictures/gallery/([\w-]+)\.webp\)", text_of(DOCS / f"{page}.md"))
        assert sorted(shown) == sorted(names) and set(names) <= set(make.GRIDS)


def test_each_method_of_the_page_shows_a_picture_of_the_gallery(make):
    sections = re.split(r"^## ", text_of(DOCS / "methods.md"), flags=re.MULTILINE)[1:]
    without = [section.split("\n")[0] for section in sections if "](pictures/gallery/" not in section]
    assert len(sections) > 11 and without == ["unit-digits"]


def test_the_pictures_are_small():
    assert sum(path.stat().st_size for path in PICTURES.iterdir()) < 600_000


@pytest.mark.slow
def test_the_commands_make_a_picture_whose_translations_are_near_the_truth(make, tmp_path):
    make.make("pix2pix", tmp_path / "gallery", tmp_path)
    picture = np.asarray(Image.open(tmp_path / "pix2pix.webp"), float)
    inputs, translated, truth = (picture[row * (make.TILE + make.GAP) :][: make.TILE] for row in range(3))
    assert np.abs(translated - truth).mean() < 0.5 * np.abs(inputs - truth).mean()
