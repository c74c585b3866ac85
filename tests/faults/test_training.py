"""Training that meets a bad file, runs out of memory, or is to be the same to the bit.

A loader worker that is killed (fault 19) cannot be: images are decoded by threads, which end with their process.
"""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

from child import Workplace, hashes, rows, steps
from tiny import unpaired_folder

from translate.runs import train as run

OUT_OF_MEMORY = """
    import torch
    import translate.training.trainer as module
    from translate.training.trainer import Trainer
    take, calls = Trainer._take, 0

    def short(self, turn, parts, *rest):
        # Two images at a time are too many, from the {first}-th turn on: after the first player has moved.
        global calls
        calls += 1
        if calls >= {first} and len(parts[0]) > {most}:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return take(self, turn, parts, *rest)

    Trainer._take = short
"""


def test_worker_exception_names_the_file_and_keeps_what_was_learnt(place: Workplace) -> None:
    rendered = place.run("train", place.recipe("pix2pix", {"steps": 1}), "--device", "cpu", "--out", "first")
    assert rendered.code == 0, rendered.err
    folder = next(path for path in place.home.rglob("shapes-paired*") if (path / "trainA").is_dir())
    shutil.copytree(folder, place.folder / "mine")
    # It is whole when it is checked: what breaks later is met by the thread that decodes.
    hook = """
        import translate.data.loader as module
        load, seen = module.DecodedImages.load, []

        def broken(self, index):
            path = self.sources[index].path
            if index == 5 and seen.count(path) == 3:
                path.write_bytes(path.read_bytes()[:100])
            seen.append(path)
            return load(self, index)

        module.DecodedImages.load = broken
    """
    arguments = ("--data", "mine", "--cache", "off", "--set", "data.workers=2", "--set", "training.batch_size=1")
    ended = place.train("pix2pix.yaml", "run", "--set", "training.steps=40", *arguments, hook=hook)
    assert ended.code == 1 and "mine/" in ended.err and ".png" in ended.err.split("error:")[-1], ended.err
    assert "Traceback" not in ended.err
    reached = rows(place.folder / "run")[-1]["step"]
    assert reached > 1 and steps(place.folder / "run")[-1] >= reached


def test_oom_in_the_first_steps_takes_the_same_batch_in_more_parts(place: Workplace) -> None:
    """The state is clean: the run equals one that was told to take parts from the start."""
    recipe = place.recipe("cyclegan", {"steps": 2})
    told = place.train(recipe, "told", "--set", "training.accumulate=2")
    assert told.code == 0, told.err
    found = place.train(recipe, "found", hook=OUT_OF_MEMORY.format(first=2, most=1))
    assert found.code == 0, found.err
    assert found.err.count("out of memory: each batch of 2 is taken in 2 parts") == 1
    assert hashes(place.folder / "found") == hashes(place.folder / "told")
    facts = json.loads((place.folder / "found/checkpoints/step-00000002/checkpoint.json").read_text())
    assert facts["accumulate"] == 2, "a resumed run goes on with the parts that fit"


def test_oom_later_or_past_help_is_an_error_that_keeps_what_was_saved(place: Workplace) -> None:
    recipe = place.recipe("pix2pix")
    ended = place.train(recipe, "run", hook=OUT_OF_MEMORY.format(first=10, most=1))  # the fifth step
    assert ended.code == 1 and "out of memory in step 5" in ended.err, ended.err
    assert "training.accumulate=2" in ended.err and "Traceback" not in ended.err
    assert steps(place.folder / "run") == [2, 4]
    helped = place.train(recipe, "run", "--resume", "--set", "training.accumulate=2")
    assert helped.code == 0 and "resuming after step 4" in helped.err, helped.err
    single = place.train(recipe, "single", hook=OUT_OF_MEMORY.format(first=1, most=0))
    assert single.code == 1 and "out of memory in step 1" in single.err and "Traceback" not in single.err, single.err


def test_deterministic_training_is_offered_and_reaches_torch(place: Workplace, undisturbed: Path) -> None:
    """On the CPU it changes nothing."""
    hook = """
        import atexit, os, torch
        atexit.register(lambda: print(
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        ))
    """
    ended = place.train(place.recipe("pix2pix"), "run", "--deterministic", hook=hook)
    assert ended.code == 0 and ended.out.splitlines()[-1] == "True True :4096:8", ended
    assert hashes(place.folder / "run") == hashes(undisturbed)


def test_disk_full_for_the_report_is_told_and_hides_nothing(run_cli, tiny_recipe, tmp_path, monkeypatch) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run, "write_report", full)
    data = unpaired_folder(tmp_path / "data")
    ended = run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "--device", "cpu")
    assert ended.exit_code == 0, ended.output
    assert "warning: run/report.html: could not be written" in ended.stderr and "No space left" in ended.stderr
