"""Fixtures that several tests share."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import tiny
import torch
import yaml
from click.testing import CliRunner, Result

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in ("integration", "faults"):
            item.add_marker("integration")
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device here"))


@pytest.fixture(autouse=True)
def no_outside(monkeypatch, tmp_path):
    """No test reads or writes the user's own folders, keys or runs."""
    monkeypatch.setenv("TRANSLATE_HOME", str(tmp_path / "home"))
    for name in ("TRANSLATE_DATA", "WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TRANSLATE_DATA", default))
    if not folder.is_dir():
        pytest.skip("real images are not here: set TRANSLATE_DATA to their folder")
    return folder


@pytest.fixture
def tiny_recipe(tmp_path):
    """Writes a tiny recipe of a model, as a user would, and returns its path."""

    def write(model: str) -> str:
        path = tmp_path / f"tiny-{model}.yaml"
        recipe = {"model": tiny.TINY[model], "data": tiny.TINY_DATA, "training": tiny.TINY_TRAINING}
        # Through JSON: settings that stand twice would be written as an alias, which recipes may not have.
        path.write_text(yaml.safe_dump(json.loads(json.dumps(recipe))))
        return str(path)

    return write


@pytest.fixture
def run_cli(monkeypatch, tmp_path):
    """Runs a command line in an empty folder and returns click's result."""
    from translate.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory):
    """A function from a model's name to a folder with a tiny trained run of it, its data and its recipe."""
    from ways_out import DATA_OF, User

    from translate.cli import main

    folders: dict[str, Path] = {}

    def trained(model: str) -> Path:
        if model not in folders:
            folder = tmp_path_factory.mktemp(f"trained-{model}")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                user = User(lambda *words: CliRunner().invoke(main, list(map(str, words))), folder, patch, trained)
                data, recipe = user.data(DATA_OF[model]), user.recipe(model)
                user.gets(*user.train(recipe, "--out", f"run-{model}", data=data))
            folders[model] = folder
        return folders[model]

    return trained


@pytest.fixture
def user(run_cli, tmp_path, monkeypatch, trained_once):
    """See `ways_out.User`."""
    from ways_out import User

    monkeypatch.setattr("translate.training.estimate.MEASURED", 1)  # a dry run only has to run
    return User(run_cli, tmp_path, monkeypatch, trained_once)
