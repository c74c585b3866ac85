"""The real command in a process of its own, and the runs that faults are tried on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from patience import PATIENCE  # noqa: E402
from tiny import TINY, data_of, write_images  # noqa: E402
from warm import Warm  # noqa: E402

from translate.data.batch import Labelled, SourceLabelled  # noqa: E402
from translate.models import MODELS  # noqa: E402

SHAPES = {"train": 8, "test": 3}
STEPS = 8
TRAINING = {
    "steps": STEPS,
    "batch_size": 2,
    "log_every": 1,
    "sample_every": 4,
    "validate_every": 4,
    "checkpoint_every": 2,
    "ema": 0.9,
    "precision": "float32",
}


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (negative: the signal that killed it), and what it printed."""

    code: int
    out: str
    err: str


class Workplace:
    """A folder with tiny recipes, in which commands run; `shapes` is rendered below it once.

    `hook` is Python that runs in the child before anything else: for faults that cannot be made from outside.
    `under` is a command that starts the child: a Python of its own, which takes seconds.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home

    def recipe(self, model: str, training: dict[str, Any] | None = None, **settings: Any) -> str:
        path = self.folder / f"{model}.yaml"
        kind = MODELS[model].batch_type
        data = {"set": "shapes", "size": 32, "load_size": 36, "workers": 0, "shapes": SHAPES}
        if kind is Labelled:
            data["shapes"] = {**SHAPES, "styles": ["flat", "outlined", "banded"]}
        if kind is SourceLabelled:
            data = data_of(model, self.folder / "digits")
        recipe = {"model": {**TINY[model], **settings}, "data": data, "training": TRAINING | (training or {})}
        path.write_text(yaml.safe_dump(json.loads(json.dumps(recipe))))
        return path.name

    def photos(self) -> str:
        write_images(self.folder / "photos", ["one.png", "two.png"], size=32)
        return "photos"

    def start(self, *arguments: object, hook: str = "", **options: Any) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "SLURM_"))}
        path = [str(ROOT), environment.get("PYTHONPATH", "")]
        if hook:
            hooks = self.folder / f"hook-{hashlib.sha256(hook.encode()).hexdigest()[:8]}"
            hooks.mkdir(exist_ok=True)
            (hooks / "sitecustomize.py").write_text(textwrap.dedent(hook))
            path.insert(0, str(hooks))
        environment |= {"TRANSLATE_HOME": str(self.home), "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path)}
        environment |= options.pop("env", {})
        under = options.pop("under", [])
        return (subprocess.Popen if under else Warm)(
            [*under, sys.executable, "-m", "translate", *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            text=True,
            preexec_fn=_as_usual if under else None,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def run(self, *arguments: object, **options: Any) -> Ended:
        return finished(self.start(*arguments, **options))

    def train(self, recipe: str, out: str = "run", *more: object, **options: Any) -> Ended:
        return self.run("train", recipe, "--device", "cpu", "--out", out, *more, **options)


def _as_usual() -> None:
    """A shell's background jobs, and nohup's, ignore these."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def finished(process: subprocess.Popen[str], seconds: float = PATIENCE) -> Ended:
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {seconds} s:\n{err}") from None
    return Ended(process.returncode, out, err)


def limited(limit: int) -> str:
    """A hook: no file may grow beyond `limit` bytes."""
    return f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"


def steps(run: Path) -> list[int]:
    """Of the checkpoints in a run's folder."""
    return sorted(int(path.name.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*"))


def rows(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the times, which alone may differ."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "time"} for line in lines]


def hashes(run: Path) -> dict[str, str]:
    """SHA-256 of all that must not depend on whether a run was disturbed."""
    newest = run / "checkpoints" / (run / "checkpoints" / "latest").read_text().strip()
    found = {path.stem: _sha256(path.read_bytes()) for path in sorted(newest.glob("*.safetensors"))}
    found["metrics"] = _sha256(json.dumps(rows(run)).encode())
    found["best"] = (run / "checkpoints" / "best").read_text().strip()
    found["samples"] = _sha256(b"".join(path.read_bytes() for path in sorted((run / "samples").iterdir())))
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def kill_at_backward(number: int) -> str:
    """A hook: SIGKILL in the middle of a step, when gradients are computed for the `number`-th time."""
    return f"""
        import os, signal
        import torch
        backward, calls = torch.autograd.backward, 0

        def fatal(*args, **kwargs):
            global calls
            calls += 1
            if calls == {number}:
                os.kill(os.getpid(), signal.SIGKILL)
            return backward(*args, **kwargs)

        torch.autograd.backward = fatal
    """
