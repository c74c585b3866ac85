"""TensorBoard's files, read back by their own format: length, checksum, an Event, checksum."""

from __future__ import annotations

import io
import struct
import time
import tomllib
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ways_out import parsed

import translate
from translate.errors import ConfigurationError
from translate.reporting.grids import save_pictures
from translate.reporting.tracking import opening
from translate.reporting.tracking.opening import choose_trackers, open_trackers
from translate.reporting.tracking.trackers import TrackedRun

RUN = {"name": "fog", "training": {"lr": 0.0002}}


def events(folder: Path) -> Iterator[Any]:
    """The events of all files below, file by file."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted((folder / "tensorboard").iterdir()):
        data = io.BytesIO(path.read_bytes())
        while head := data.read(12):
            (length,) = struct.unpack("<Q", head[:8])
            yield Event.FromString(data.read(length))
            data.read(4)


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    return [
        (event.step, value.tag, value.simple_value)
        for event in events(folder)
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def opened(folder: Path, step: int = 0) -> Any:
    run = TrackedRun(folder, "fog", RUN, "id", step)
    return open_trackers(choose_trackers(["wandb:disabled", "tensorboard"]), run)


def test_scalars_grids_and_the_recipe_stand_in_the_files(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grid.png")
    tracker = opened(tmp_path)
    tracker.log(3, {"generators/cycle/a": 0.5, "validation/to_photo/l1": 0.25})
    tracker.images(4, "samples", tmp_path / "grid.png")
    tracker.artifact("last", tmp_path)
    tracker.finish()
    assert scalars(tmp_path) == [(3, "generators/cycle/a", 0.5), (3, "validation/to_photo/l1", 0.25)]
    values = {value.tag: (event.step, value) for event in events(tmp_path) for value in event.summary.value}
    step, grid = values["samples"]
    assert step == 4
    assert (np.asarray(Image.open(io.BytesIO(grid.image.encoded_image_string))) == pixels).all()
    assert b"lr: 0.0002" in values["recipe/text_summary"][1].tensor.string_val[0]


def test_numbers_are_in_the_file_before_the_run_ends(tmp_path: Path) -> None:
    tracker = opened(tmp_path)
    tracker.log(1, {"loss": 1.5})
    while not scalars(tmp_path):
        time.sleep(0.1)
    assert scalars(tmp_path) == [(1, "loss", 1.5)]
    tracker.finish()


def test_a_resumed_run_hides_what_was_logged_after_its_checkpoint(tmp_path: Path) -> None:
    for first, last in ((1, 6), (4, 8)):
        tracker = opened(tmp_path, first - 1)
        tracker.summary({"best/step": 1})
        for step in range(first, last):
            tracker.log(step, {"loss": float(step)})
        tracker.finish()
    starts = [
        event.step for event in events(tmp_path) if event.HasField("session_log") and event.session_log.status == 1
    ]
    assert starts == [0, 4], "TensorBoard drops what an earlier file has from there on"


def test_pictures_of_a_grid_are_written_one_by_one_where_they_change(tmp_path: Path) -> None:
    tracker = opened(tmp_path)
    for step, shade in enumerate((10, 200)):
        fixed, changing = (Image.new("RGB", (8, 8), colour) for colour in ("red", (shade, shade, shade)))
        columns = {"input": [fixed] * 2, "output": [changing] * 2}
        save_pictures(tmp_path / "grid.png", columns)
        tracker.table(step, "samples", tmp_path / "grid.png", ["a.png", "b.png"])
    tracker.finish()
    shown = [(event.step, value.tag) for event in events(tmp_path) for value in event.summary.value]
    first = {(0, f"samples/{place}/{column}") for place in (1, 2) for column in ("input", "output")}
    later = [(1, "samples/1/output"), (1, "samples/2/output")]
    assert sorted(one for one in shown if one[1].startswith("samples")) == sorted([*first, *later])


def test_a_run_that_logs_nothing_writes_nothing(tmp_path: Path) -> None:
    opened(tmp_path).finish()
    assert not (tmp_path / "tensorboard").exists()


def test_it_is_refused_before_a_run_begins_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("translate.reporting.tracking.tensorboard_tracker.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"tensorboardX: pip install 'image-translate\[tensorboard\]'"):
        choose_trackers(["tensorboard"])


@parsed(
    "it installs a package",
    ("reporting/tracking/tensorboard_tracker", "pip install 'image-translate[tensorboard]'"),
)
def an_extra_to_install() -> None:
    project = tomllib.loads((Path(translate.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert any(one.startswith("tensorboardX") for one in project["optional-dependencies"]["tensorboard"])


def test_the_extra_is_one() -> None:
    an_extra_to_install()


def test_it_has_no_modes() -> None:
    with pytest.raises(ConfigurationError, match="TensorBoard has no mode 'offline'"):
        choose_trackers(["tensorboard:offline"])
    assert util.find_spec("tensorboardX") and "tensorboard" in opening.TRACKERS
