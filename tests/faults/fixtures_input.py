"""What the fault tests about input share: a tiny trained run, and a folder where no child finds the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tiny import TINY, unpaired_folder

import translate

DATA = {"size": 16, "load_size": 18, "workers": 0}
TRAINING = {"steps": 2, "log_every": 2, "precision": "float32"}


def write_recipe(path: Path, model: str, data: dict | None = None, **training: object) -> Path:
    values = {"model": TINY[model], "data": {**DATA, **(data or {})}, "training": {**TRAINING, **training}}
    path.write_text(yaml.safe_dump(json.loads(json.dumps(values))))
    return path


@pytest.fixture(scope="session")
def trained_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny CycleGAN's run; it converts to `zebra` and `horse`."""
    folder = tmp_path_factory.mktemp("trained")
    data = unpaired_folder(folder / "horse2zebra")
    recipe = write_recipe(folder / "tiny.yaml", "cyclegan")
    return translate.train(
        str(recipe), data=data, out=folder / "run", device="cpu", tracking="disabled", quiet=True
    ).resolve()
