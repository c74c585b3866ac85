"""SIGINT, SIGTERM and Slurm's SIGUSR1, wherever they come: saved, left in time, and gone on with as if nothing was."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
from child import STEPS, Workplace, hashes, steps

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
WHERE = {
    "a step": ("translate.training.trainer", "Trainer", "step", "self.steps == 2"),
    "validation": ("translate.evaluation.validation", "Direction", "measure", "calls == 1"),
    "sampling": ("translate.models.pix2pix", "Pix2Pix", "show", "calls == 2"),
    "the last validation": ("translate.evaluation.validation", "Direction", "measure", "calls == 4"),
}


def interrupt(place: tuple[str, str, str, str], number: int, wait: float = 0) -> str:
    """A hook: the process sends itself a signal where this method is called."""
    module, name, method, condition = place
    return f"""
        import os, time
        import {module} as module
        original, calls = module.{name}.{method}, 0

        def interrupted(self, *args, **kwargs):
            global calls
            calls += 1
            if {condition}:
                os.kill(os.getpid(), {number})
                time.sleep({wait})
            return original(self, *args, **kwargs)

        module.{name}.{method} = interrupted
    """


@pytest.mark.parametrize(
    ("where", "number", "step"),
    [
        ("a step", signal.SIGINT, 3),
        ("validation", signal.SIGTERM, 2),
        pytest.param("sampling", signal.SIGINT, 4, marks=pytest.mark.slow),
        pytest.param("the last validation", signal.SIGTERM, STEPS, marks=pytest.mark.slow),
    ],
)
def test_sigterm_and_sigint_in_training_save_and_leave(place, undisturbed, where, number, step) -> None:
    """What was cut short, a validation or a sample, is done first when the run goes on: nothing tells the two apart."""
    recipe = place.recipe("pix2pix")
    stopped = place.train(recipe, "run", hook=interrupt(WHERE[where], number))
    run = place.folder / "run"
    assert stopped.code == CODES[number], stopped.err
    by = "(Ctrl-C)" if number == signal.SIGINT else "by SIGTERM"
    assert f"stopped {by} after step {step}; saved, continue with --resume" in stopped.err
    assert "Traceback" not in stopped.err and steps(run)[-1] == step
    assert (run / "checkpoints" / "latest").read_text().strip() == f"step-{step:08d}"
    assert (run / "report.html").is_file()
    resumed = place.train(recipe, "run", "--resume")
    assert resumed.code == 0 and f"resuming after step {step}" in resumed.err, resumed.err
    assert hashes(run) == hashes(undisturbed)
    assert (run / "summary.json").read_bytes() == (undisturbed / "summary.json").read_bytes()


BEFORE = {
    "opening the data": ("translate.data.layouts.folders", "Folder", "__init__", "True"),
    "the first batch": ("translate.data.loader", "Loader", "batch", "True"),
}


@pytest.mark.parametrize(("where", "number"), list(zip(BEFORE, CODES, strict=False)))
def test_sigterm_and_sigint_before_the_first_step_leave_at_once(place, where, number) -> None:
    recipe = place.recipe("pix2pix")
    stopped = place.train(recipe, "run", hook=interrupt(BEFORE[where], number, wait=100))
    assert stopped.code == CODES[number], stopped.err
    assert "there was nothing to save" in stopped.err and "Traceback" not in stopped.err
    assert not steps(place.folder / "run")


def test_sigterm_in_report_writing_leaves_a_finished_run(place: Workplace, undisturbed: Path) -> None:
    hook = """
        import os, signal
        import translate.runs.train as module
        write = module.write_report

        def interrupted(folder):
            os.kill(os.getpid(), signal.SIGTERM)
            return write(folder)

        module.write_report = interrupted
    """
    ended = place.train(place.recipe("pix2pix"), "run", hook=hook)
    assert ended.code == 143 and "everything is saved" in ended.err, ended.err
    assert hashes(place.folder / "run") == hashes(undisturbed)
    assert (place.folder / "run" / "report.html").read_text().endswith("</html>\n")


def test_sigint_twice_ends_at_once(place: Workplace) -> None:
    """The second comes while the first one's checkpoint is written: it is left as it is, and cleared away later."""
    hook = (
        interrupt(WHERE["a step"], signal.SIGINT)
        + """
        import translate.training.saving
        save = translate.training.saving.save_checkpoint

        def saving(folder, step, *more):
            if step == 3:
                os.kill(os.getpid(), 2)
                time.sleep(100)
            return save(folder, step, *more)

        translate.training.saving.save_checkpoint = saving
        """
    )
    recipe = place.recipe("pix2pix")
    ended = place.train(recipe, "run", hook=hook)
    assert ended.code == 130 and "Traceback" not in ended.err, ended.err
    assert steps(place.folder / "run") == [2]
    resumed = place.train(recipe, "run", "--resume", "--set", "training.steps=3", "--set", "training.schedule=linear")
    assert resumed.code == 0 and "resuming after step 2" in resumed.err, resumed.err


@pytest.mark.parametrize("rank", ["0", "1"])
def test_slurm_usr1_saves_and_requeues_once_from_rank_0(place: Workplace, rank: str) -> None:
    stub = place.folder / "bin" / "scontrol"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\necho "$@" >> "$(dirname "$0")/called"\n')
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    slurm = {
        "SLURM_JOB_ID": "4711",
        "SLURM_PROCID": rank,
        "PATH": os.pathsep.join([str(stub.parent), os.environ["PATH"]]),
    }
    hook = interrupt(WHERE["a step"], signal.SIGUSR1)
    ended = place.train(place.recipe("pix2pix"), "run", hook=hook, env=slurm)
    assert ended.code == 75, ended.err
    assert "stopped by SIGUSR1 after step 3; saved" in ended.err
    assert steps(place.folder / "run") == [2, 3]
    called = stub.parent / "called"
    assert (called.read_text() if called.exists() else "") == ("requeue 4711\n" if rank == "0" else "")


OTHERS = {
    "convert": ("translate.models.pix2pix", "Pix2Pix", "convert", "calls == 2"),
    "evaluate": ("translate.evaluation.validation", "Direction", "scores", "True"),
    "sample": ("translate.models.gan", "GAN", "sample", "calls == 3"),
}


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("convert", signal.SIGTERM),
        ("sample", signal.SIGINT),
        pytest.param("evaluate", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("sample", signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_sigterm_and_sigint_end_other_commands_without_a_torn_file(place, trained, command, number):
    if command == "sample":
        recipe = place.recipe("gan", {"steps": 2})
        ended = place.train(recipe, "gan")
        assert ended.code == 0, ended.err
        arguments = ["sample", "gan", "out", "--count", "8"]
    elif command == "convert":
        arguments = ["convert", "run", next(place.home.rglob("trainA")), "out", "--workers", "1"]
    else:
        arguments = ["evaluate", "run"]
    before = sorted(path.name for path in trained.iterdir())
    ended = place.run(*arguments, hook=interrupt(OTHERS[command], number, wait=100))
    assert ended.code == CODES[number], ended.err
    assert "Traceback" not in ended.err
    assert sorted(path.name for path in trained.iterdir()) == before
    written = list((place.folder / "out").rglob("*")) if (place.folder / "out").exists() else []
    assert not [path for path in written if path.name.startswith(".translate-")], "nothing half written lies about"
