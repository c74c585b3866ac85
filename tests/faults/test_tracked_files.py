"""A run that is killed and goes on, as Weights & Biases and TensorBoard find it in its files, read back record by
record: each step stands there once, with pictures, tables, checkpoints and the best step."""

from __future__ import annotations

import io
import json
import shlex
import signal
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from child import STEPS, Ended, Workplace, rows
from PIL import Image

from translate.reporting.grids import pictures_in
from translate.reporting.keys import validation_key
from translate.reporting.tracking.wandb_files import offline_parts, records, tracked_until

QUIET = {"WANDB_ERROR_REPORTING": "false", "WANDB_DISABLE_GIT": "true"}
LAST, CHECKPOINT = 8, 6
"""The step in which the run is killed, and the last one that it had saved: step 7 is taken, and tracked, twice."""
KILLED = f"""
    import os, signal, time
    from translate.training.loop import TrainingRun
    log = TrainingRun._log

    def fatal(self, waiting):
        text = log(self, waiting)
        if self.trainer.steps == {LAST}:
            time.sleep(2)  # wandb writes once a second
            os.kill(os.getpid(), signal.SIGKILL)
        return text

    TrainingRun._log = fatal
"""


class Story:
    """The run, what its second start printed, and wandb's records of both."""

    def __init__(self, place: Workplace) -> None:
        from wandb.proto.wandb_internal_pb2 import Record

        tracked = ("--wandb", "offline", "--tensorboard", "--artifact")
        recipe = place.recipe("pix2pix", {"steps": STEPS + 2})
        killed = place.train(recipe, "a run", *tracked, hook=KILLED, env=QUIET)
        assert killed.code == -signal.SIGKILL, killed.err
        self.run = place.folder / "a run"
        first = self.read = tracked_until(self.run, (self.run / "run_id").read_text().strip())
        self.ended: Ended = place.train(recipe, "a run", *tracked, "--resume", "training.keep=9", env=QUIET)
        assert self.ended.code == 0, self.ended.err
        self.files = offline_parts(self.run)
        self.parts = [[Record.FromString(data) for data in records(part.read_bytes())] for part in self.files]
        assert len(self.parts) == 2 and first >= CHECKPOINT

    def history(self, part: int | None = None) -> list[tuple[int, dict[str, Any]]]:
        parts = self.parts if part is None else [self.parts[part]]
        return [
            (record.history.step.num, {name_of(item): json.loads(item.value_json) for item in record.history.item})
            for records_of_one in parts
            for record in records_of_one
            if record.HasField("history")
        ]

    def artifacts(self, kind: str) -> list[Any]:
        found = [one.artifact for part in self.parts for one in part if one.HasField("artifact")]
        return [artifact for artifact in found if artifact.type == kind]


def name_of(item: Any) -> str:
    return ".".join(item.nested_key) or item.key


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(Workplace(tmp_path_factory.mktemp("tracked"), tmp_path_factory.mktemp("home")))


def test_steps_of_both_parts_are_monotonic_and_none_is_doubled(story: Story) -> None:
    steps = [step for step, _ in story.history()]
    assert steps == sorted(set(steps)), steps
    assert story.read > CHECKPOINT, "the killed run had tracked steps that are taken again"
    assert set(steps) == set(range(STEPS + 3))
    assert min(step for step, _ in story.history(1)) == story.read + 1
    told = dict(story.history())
    for row in rows(story.run):
        kept = {name: value for name, value in row.items() if name != "step"}
        assert kept.items() <= told[row["step"]].items(), row["step"]


def test_each_sample_has_its_grid_and_a_table_of_its_own(story: Story) -> None:
    grids = {int(path.stem.removeprefix("step-")): path for path in (story.run / "samples").iterdir()}
    logged = {step: values for step, values in story.history() if any(name.startswith("samples") for name in values)}
    assert list(logged) == sorted(grids) and {0, 4} <= set(grids) and max(grids) > LAST
    tables = story.artifacts("run_table")
    assert len(tables) == len(grids)
    for (step, path), artifact in zip(sorted(grids.items()), tables, strict=True):
        files = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
        table = json.loads(next(file for name, file in files.items() if name.endswith(".table.json")).read_text())
        columns = pictures_in(path)
        assert table["columns"] == ["id", "sample", "step", *columns] and {"output", "target"} <= set(columns)
        assert [row[0] for row in table["data"]] == [1, 2, 3] and {row[2] for row in table["data"]} == {step}
        assert len({row[1] for row in table["data"]}) == 3 and all(row[1] for row in table["data"])
        for number, row in enumerate(table["data"]):
            for column, cell in zip(columns, row[3:], strict=True):
                assert cell["caption"] == f"{column}, {row[1]}"
                with Image.open(files[cell["path"]]) as picture:
                    assert (np.asarray(picture) == np.asarray(columns[column][number])).all()


def test_the_last_checkpoint_and_the_best_are_artifacts_with_what_was_measured(story: Story) -> None:
    facts = json.loads((story.run / "checkpoints" / f"step-{STEPS + 2:08d}" / "checkpoint.json").read_text())
    known = {alias: artifact for artifact in story.artifacts("model") for alias in artifact.aliases}
    assert set(known) == {"best", "latest", f"step-{STEPS + 2}", f"step-{facts['best']}"}
    assert known["best"] is known[f"step-{facts['best']}"] and known["latest"] is known[f"step-{STEPS + 2}"]
    best, latest = (json.loads(known[alias].metadata) for alias in ("best", "latest"))
    assert best["step"] == facts["best"] and best["best/l1"] == facts["best_measured"]["l1"]
    assert latest["step"] == STEPS + 2
    ((name, measured),) = facts["validation"].items()
    assert latest[validation_key(name, "l1")] == measured["l1"]
    for alias, step in (("best", facts["best"]), ("latest", STEPS + 2)):
        (stored,) = [e.local_path for e in known[alias].manifest.contents if e.path == "model.safetensors"]
        checkpoint = story.run / "checkpoints" / f"step-{step:08d}" / "model.safetensors"
        assert Path(stored).read_bytes() == checkpoint.read_bytes()


def test_config_and_summary_are_those_of_the_run_that_went_on(story: Story) -> None:
    configs, ids = [], set()
    for part in story.parts:
        (begun,) = [record.run for record in part if record.HasField("run")]
        ids.add(begun.run_id)
        configs.append({name_of(item): json.loads(item.value_json) for item in begun.config.update})
    assert len(ids) == 1 and [config["training"]["keep"] for config in configs] == [3, 9]
    summary: dict[str, Any] = {}
    for record in story.parts[1]:
        if record.HasField("summary"):
            summary |= {name_of(item): json.loads(item.value_json) for item in record.summary.update}
    facts = json.loads((story.run / "checkpoints" / f"step-{STEPS + 2:08d}" / "checkpoint.json").read_text())
    assert (summary["best/step"], summary["best/l1"]) == (facts["best"], facts["best_measured"]["l1"])
    assert summary["_step"] == STEPS + 2


def test_a_line_at_the_end_says_what_uploads_both_parts(story: Story) -> None:
    line = next(line for line in story.ended.err.strip().splitlines()[-3:] if "to upload: " in line)
    words = shlex.split(line.partition("to upload: ")[2])
    assert words[:2] == ["wandb", "sync"] and story.ended.err.count("wandb sync") == 1, story.ended.err
    folder = story.run.parent
    assert [folder / word for word in words[2:]] == [part.parent for part in story.files]


def events(folder: Path) -> Iterator[Any]:
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.iterdir()):
        data = io.BytesIO(path.read_bytes())
        while head := data.read(12):
            yield Event.FromString(data.read(struct.unpack("<Q", head[:8])[0]))
            data.read(4)


def seen_by_tensorboard(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """As TensorBoard reads it: where a file starts, what came before loses that step and all later ones."""
    seen: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    for event in events(folder):
        if event.HasField("session_log") and event.session_log.status == 1:
            seen = defaultdict(list, {tag: [one for one in v if one[0] < event.step] for tag, v in seen.items()})
        for value in event.summary.value:
            seen[value.tag].append((event.step, value))
    return seen


def test_tensorboard_draws_no_zigzag(story: Story) -> None:
    seen = seen_by_tensorboard(story.run / "tensorboard")
    for tag in {name for row in rows(story.run) for name in row} - {"step"}:
        steps = [step for step, _ in seen[tag]]
        assert steps == [row["step"] for row in rows(story.run) if tag in row], tag
    again = [event.step for event in events(story.run / "tensorboard") if event.summary.value]
    assert again != sorted(again), "the killed run had written steps that are taken again"


def test_tensorboard_has_the_grid_the_changing_pictures_the_recipe_and_the_best(story: Story) -> None:
    seen = seen_by_tensorboard(story.run / "tensorboard")
    grids = {int(path.stem.removeprefix("step-")): path for path in (story.run / "samples").iterdir()}
    assert [step for step, _ in seen["samples"]] == sorted(grids)
    assert [step for step, _ in seen["samples/1/output"]] == sorted(grids), "outputs change"
    step, value = seen["samples/2/output"][-1]
    pixels = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
    assert (pixels == np.asarray(pictures_in(grids[step])["output"][1])).all()
    assert len(seen["samples/1/target"]) <= 2, "once for each start: it stays what it is"
    facts = json.loads((story.run / "checkpoints" / f"step-{STEPS + 2:08d}" / "checkpoint.json").read_text())
    (step, summary) = seen["summary/text_summary"][-1]
    assert step == facts["best"] and f"best/step: {facts['best']}".encode() in summary.tensor.string_val[0]
    assert b"keep: 9" in seen["recipe/text_summary"][-1][1].tensor.string_val[0]


def test_a_torn_file_is_read_to_where_it_is_torn(story: Story) -> None:
    whole = story.files[0].read_bytes()
    all_of_it = list(records(whole))
    for cut in (7, 9, len(whole) // 2, len(whole) - 1):
        found = list(records(whole[:cut]))
        assert found == all_of_it[: len(found)] and len(found) < len(all_of_it)
    assert tracked_until(story.run, "another id") == -1
