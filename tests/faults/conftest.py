"""Fixtures of the fault tests: a folder to run commands in, and a run that nothing disturbed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from child import Workplace

from translate.networks.foreign import port_state
from translate.networks.resnet import ResnetGenerator


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def place(tmp_path: Path, home: Path) -> Workplace:
    return Workplace(tmp_path, home)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """A finished pix2pix run, not to be changed."""
    place = Workplace(tmp_path_factory.mktemp("undisturbed"), home)
    ended = place.train(place.recipe("pix2pix"))
    assert ended.code == 0, ended.err
    return place.folder / "run"


@pytest.fixture
def trained(place: Workplace, undisturbed: Path) -> Path:
    """A copy of it beside its recipe."""
    place.recipe("pix2pix")
    shutil.copytree(undisturbed, place.folder / "run")
    return place.folder / "run"


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator's file, from which to load takes no training."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("generator") / "g.pth"
    torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), path)
    return path
