"""Weights & Biases without a key, without a network, with a dead port, with a full disk: training does not care."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from child import STEPS, Workplace, finished, rows
from patience import PATIENCE

QUIET = {"WANDB_ERROR_REPORTING": "false", "WANDB_DISABLE_GIT": "true"}
KEY = {**QUIET, "WANDB_API_KEY": "0" * 40}

SHORTER = """
    import translate.reporting.tracking.wandb_tracker as module
    started = module._started

    def sooner(run, mode):
        # Online 2 seconds are enough to see what comes when they are over; offline, a busy machine may need more.
        module._INIT_SECONDS = 2.0 if mode == "online" else 15.0
        return started(run, mode)

    module._started = sooner
"""


def inspected(run: Path) -> list[dict[str, Any]]:
    """The rows of the offline run, as wandb's own reader prints them."""
    (folder,) = (run / "wandb").glob("offline-run-*")
    told = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(folder)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **QUIET},
    )
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]


def alone(*command: str) -> bool:
    """Whether this machine lets us run `command` in a space of its own."""
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


def test_wandb_no_key_says_so_and_trains(place: Workplace) -> None:
    recipe = place.recipe("pix2pix", {"steps": 2})
    home = {"HOME": str(place.folder), "NETRC": str(place.folder / "none"), **QUIET}
    auto = place.train(recipe, "auto", env=home)
    assert auto.code == 0 and "Weights & Biases" not in auto.err
    online = place.train(recipe, "online", "--wandb", "online", env=home)
    assert online.code == 0 and "wandb login" in online.err, online.err
    assert len(rows(place.folder / "online")) == len(rows(place.folder / "auto"))


def test_wandb_dead_port_and_no_network_hold_training_up_by_seconds_only(place: Workplace) -> None:
    """Both at once, for each waits out wandb's time; no network is a network of its own, where we may have one."""
    recipe = place.recipe("pix2pix", {"steps": 2})
    arguments = ("train", recipe, "--device", "cpu", "--wandb", "online", "--out")
    dead = {**KEY, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    started = time.time()
    children = {"dead": place.start(*arguments, "dead", env=dead, hook=SHORTER)}
    if alone("unshare", "-n", "true"):
        children["none"] = place.start(*arguments, "none", env=KEY, hook=SHORTER, under=["unshare", "-n"])
    for name, child in children.items():
        ended = finished(child)
        assert ended.code == 0, ended.err
        assert "Weights & Biases cannot track online" in ended.err and "Tracking offline" in ended.err
        logged = [json.loads(line) for line in (place.folder / name / "metrics.jsonl").read_text().splitlines()]
        # Promised are 30, by the times that wandb is given (test_tracking.py); here it only must not wait for ever.
        assert logged[0]["time"] - started < PATIENCE
        assert len(logged) == len(rows(place.folder / name))


def test_wandb_offline_run_carries_the_rows_of_metrics_jsonl(place: Workplace) -> None:
    ended = place.train(place.recipe("pix2pix"), "run", "--wandb", "offline", env=QUIET)
    assert ended.code == 0, ended.err
    run = place.folder / "run"
    text = json.dumps(inspected(run))
    for row in rows(run):
        for name, value in row.items():
            if name != "step":
                assert json.dumps(value) in text, (row["step"], name)


def test_wandb_sigkill_loses_no_row_of_metrics_jsonl(place: Workplace) -> None:
    hook = """
        import os, signal
        from translate.training.loop import TrainingRun
        log = TrainingRun._log

        def fatal(self, waiting):
            text = log(self, waiting)
            if self.trainer.steps == 7:
                os.kill(os.getpid(), signal.SIGKILL)
            return text

        TrainingRun._log = fatal
    """
    ended = place.train(place.recipe("pix2pix"), "run", "--wandb", "offline", hook=hook, env=QUIET)
    assert ended.code == -signal.SIGKILL, ended.err
    logged = [row["step"] for row in rows(place.folder / "run")]
    assert list(dict.fromkeys(logged)) == list(range(1, 8)) and STEPS > 7


@pytest.mark.skipif(sys.platform != "linux", reason="a file system of its own is made on Linux only")
def test_wandb_full_disk_ends_tracking_and_nothing_else(place: Workplace) -> None:
    """wandb's folder is a file system of 32 KB."""
    small = place.folder / "small"
    small.mkdir()
    mounted = alone("mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(small))
    if not mounted:
        pytest.skip("this user may not mount a file system")
    try:
        env = {**QUIET, **{f"WANDB_{kind}_DIR": str(small) for kind in ("CACHE", "DATA")}, "WANDB_DIR": str(small)}
        (place.folder / "run").mkdir()
        (place.folder / "run" / "wandb").symlink_to(small)
        for name in ("recipe.yaml", ".lock"):  # as of a run that was killed before its first checkpoint
            (place.folder / "run" / name).touch()
        ended = place.train(place.recipe("pix2pix"), "run", "--resume", "--wandb", "offline", env=env)
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert ended.code == 0 and "Traceback" not in ended.err, ended.err
    assert {row["step"] for row in rows(place.folder / "run")} == set(range(1, STEPS + 1))
