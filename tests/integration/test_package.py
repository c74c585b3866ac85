"""The package as people get it: a wheel that carries its recipes and cards, and README's two commands."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from translate.recipe import recipe_names

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run([sys.executable, "-m", *build], check=True)
    return next(folder.glob("image_translate-*.whl"))


def test_the_wheel_holds_what_is_needed_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "translate/py.typed" in names
    assert {f"translate/recipes/{name}.yaml" for name in recipe_names()} <= set(names)
    assert "translate/datasets/horse2zebra.yaml" in names
    folders = [ROOT / "translate" / name for name in ("reporting/templates", "serving/page")]
    pages = {path.relative_to(ROOT).as_posix() for folder in folders for path in folder.iterdir()}
    assert len(pages) > 7 and pages <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2 and "translate" in tops, tops


def test_the_installed_wheel_finds_its_recipes_and_cards(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import translate; from translate.data.catalog.cards import cards; from translate.recipe import recipe_names;"
        "from translate.reporting.page import gallery; assert 'Converted' in gallery('title', {}, [], [], 'note');"
        "print(translate.__file__, len(recipe_names()), len(cards()), translate.load_recipe('cyclegan').model.pool)"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        check=True,
        capture_output=True,
        text=True,
    )
    file, recipes, cards, pool = result.stdout.split()
    assert file.startswith(str(tmp_path))
    assert int(recipes) == len(recipe_names()) and int(cards) >= 10 and pool == "50"


def test_readme_opens_with_two_commands_that_set_everything_up():
    first, second = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[:2]
    assert "venv" in first and first.rstrip().endswith("translate quickstart")
    assert "[test]" in second and "pytest" in second
    assert "README.md" in (ROOT / ".ci" / "run").read_text(), "CI runs README's own lines"
