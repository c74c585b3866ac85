"""The advice of messages about training, recipes and runs, followed. See `ways_out.py`."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch
from tiny import put
from ways_out import User, command_in, options_in, parsed, settings_in, taken, tried, ways_of

from translate.networks.digits import _check_size
from translate.runs.folder import LOCK
from translate.training.diagnostics import _won
from translate.training.trainer import Trainer
from translate.utils.atomic_files import held
from translate.utils.signals import requeue

GPU = "needs several GPUs, or one that can capture CUDA graphs"


@tried(("runs/build", "training.network_lr: no network"))
def a_rate_of_an_unknown_network(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), "--out", "run", data=user.data())
    text = user.refused(*command, "training.network_lr={nobody: 1e-4}")
    user.gets(*command, "training.network_lr={" + taken(text, r"known: ([a-z_]+)") + ": 1e-4}")


@tried(("training/checkpoint", "Make room and run again with --resume"))
def a_full_disk(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), "--out", "run", data=user.data())
    with user.monkeypatch.context() as patched:

        def full(path: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patched.setattr("translate.training.checkpoint._to_disk", full)
        text = user.refused(*command, code=1)
    user.gets(*command, taken(text, "Make room and run again with (--resume)"))


@tried(("cli/training", "--dry-run measures a run from its first step on; leave out --resume"))
def a_dry_run_that_resumes(user: User) -> None:
    words = user.train(user.recipe("cyclegan"), "--dry-run", "--resume", data=user.data())
    words.remove(taken(user.refused(*words), "leave out (--resume)"))
    assert "parameters" in user.gets(*words)


@tried(("cli/training", "the data set is --data {}"), ("runs/image_sets/opening", "--data is needed: the name"))
def a_data_set_without_its_option(user: User) -> None:
    recipe, data = user.recipe("cyclegan"), user.data()
    assert options_in(user.refused(*user.train(recipe, data=None)), "train") == ["--data"]
    assert f"{data}: " not in user.gets(*command_in("`translate data`", "data"))
    Path(data).rename("my data")
    text = user.refused("train", recipe, "my data", "--device", "cpu")
    user.gets(*user.train(recipe, *shlex.split(taken(text, "the data set is (--data .*)")), data=None))


@tried(("runs/comparing/comparison", "no scores; `translate evaluate {}` makes them"))
def runs_without_scores(user: User) -> None:
    run = user.run("pix2pix")
    shutil.copytree(run, "another")
    text = user.gets("compare", run, "another")
    user.monkeypatch.setattr("translate.evaluation.classifier.ClassifierSettings.steps", 2, raising=False)
    user.gets(*command_in(text, "evaluate"), "--device", "cpu")
    assert f"{run}: no scores" not in user.gets("compare", run, "another")


@tried(("runs/comparing/comparison", "`translate train {} --out {} --resume`"))
def runs_that_did_not_end(user: User) -> None:
    run = Path(user.run("pix2pix"))
    shutil.copytree(run, "another")
    (run / "summary.json").unlink()
    text = user.gets("compare", run, "another")
    assert "no baselines of the validation until the run ends" in text
    user.gets(*command_in(text, "train"), "--device", "cpu")
    assert "until the run ends" not in user.gets("compare", run, "another")
    shutil.rmtree(run / "checkpoints")
    text = user.gets("compare", run, "another")
    user.gets(*command_in(taken(text, ".*no checkpoint yet.*")), "--device", "cpu")
    assert "no checkpoint yet" not in user.gets("compare", run, "another")


@tried(("runs/comparing/run_files", "move it away and measure them again with `translate evaluate {}`"))
def damaged_scores(user: User) -> None:
    run = user.run("pix2pix")
    shutil.copytree(run, "another")
    path = Path(run, "evaluation-latest.json")
    for damaged in ('[{"no": "score"}]', "[{"):
        path.write_text(damaged)
        text = user.refused("compare", run, "another", code=1)
        path.rename(user.folder / "away")
        user.gets(*command_in(text, "evaluate"), "--device", "cpu")
        user.gets("compare", run, "another")


@tried(("runs/image_sets/opening", "to choose others, set data.shapes.styles"))
def domains_of_shapes(user: User) -> None:
    command = user.train(user.recipe("cyclegan", {"size": 32, "load_size": 32}), "--dry-run", data="shapes")
    few = ["--set", "data.shapes.train=4", "--set", "data.shapes.test=2"]
    text = user.refused(*command, *few, "--domains", "banded,flat")
    setting = taken(text, r"set (data\.shapes\.styles=)\[") + "[banded,flat]"
    user.gets(*command, *few, "--set", setting)


@tried(("runs/image_sets/scanning", "leave them out with --skip-bad"))
def unreadable_images(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), "--out", "run", data=user.data())
    Path("unpaired", "trainA", "bad.png").write_bytes(b"no picture")
    user.gets(*command, taken(user.refused(*command), "leave them out with (--skip-bad)"))


def _memory_runs_out(trainer: Trainer, batch: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.")


@tried(
    ("training/first_steps", "out of memory in step {}, with a batch of"),
    ("training/first_steps", ", or with --resume --set training.accumulate"),
)
def memory_that_runs_out_late(user: User) -> None:
    command = user.train(user.recipe("cyclegan", steps=8), "--out", "run", data=user.data())
    step = Trainer.step
    with user.monkeypatch.context() as patched:
        patched.setattr(
            Trainer, "step", lambda self, batch: (step if self.steps < 5 else _memory_runs_out)(self, batch)
        )
        text = user.refused(*command, code=1)
    settings_in(text, "cyclegan")
    shutil.copytree("run", "copy")
    user.gets(*command, taken(text, r"go on with (--resume), or"))
    more = taken(text, r"or with (--resume --set \S+);").split()
    user.gets(*command[:-1], "copy", *more)


@tried(("training/first_steps", "out of memory in step {}, with a batch of"))
def memory_for_a_batch_that_splits_no_further(user: User) -> None:
    command = user.train(user.recipe("cyclegan", batch_size=1), "--out", "run", data=user.data())
    with user.monkeypatch.context() as patched:
        patched.setattr(Trainer, "step", _memory_runs_out)
        text = user.refused(*command, code=1)
    assert "accumulate" not in text, "one image is not split"
    user.gets(*command, taken(text, "go on with (--resume);"))


def _takes(user: User, model: str, size: int, kind: str, *settings: str, **data: object) -> tuple[list[object], str]:
    """A command with images of a size that the networks refuse, and what they say."""
    recipe = user.recipe(model, {"size": size, "load_size": None, **data})
    command = user.train(recipe, "--dry-run", *settings, data=user.data(kind))
    return command, user.refused(*command)


@tried(
    ("networks/settings", "need {} pixels at least: set data.size to {} or more"),
    ("networks/resnet", "take fewer model.gen"),
)
def images_too_small_for_a_resnet(user: User) -> None:
    command, text = _takes(user, "cyclegan", 8, "unpaired", "model.generator.downsamplings=3")
    user.gets(*command, "data.size=" + taken(text, r"set data.size to (\d+) or more"))
    user.gets(*command, taken(text, r"take fewer (model\.generator\.downsamplings)") + "=2")


@tried(("networks/patchgan", "fewer model.discriminator.layers or scales"))
def images_too_small_for_a_discriminator(user: User) -> None:
    command, text = _takes(user, "cyclegan", 8, "unpaired", "model.discriminator.layers=3")
    user.gets(*command, "data.size=" + taken(text, r"set data.size to (\d+) or more"))
    user.gets(*command, taken(text, r"fewer (model\.discriminator\.layers) or scales") + "=1")


@tried(
    ("networks/settings", "take multiples of {}: set data.size to {}"),
    ("networks/stargan", "take fewer model.disc"),
)
def images_that_stargan_cannot_halve(user: User) -> None:
    command, text = _takes(user, "stargan", 20, "labelled", "model.discriminator.layers=3")
    for size in taken(text, r"set data.size to ([\d or]+),").split(" or "):
        user.gets(*command, f"data.size={size}")
    user.gets(*command, taken(text, r"take fewer (model\.discriminator\.layers)") + "=2")


@tried(
    ("networks/settings", "take multiples of {}: set data.size to {}"),
    ("networks/unet", "set model.generator.levels to {} or less"),
)
def images_that_a_unet_cannot_halve(user: User) -> None:
    command, text = _takes(user, "pix2pix", 20, "paired")
    for size in taken(text, r"set data.size to ([\d or]+),").split(" or "):
        user.gets(*command, f"data.size={size}")
    user.gets(
        *command, taken(text, r"or set (model.generator.levels) to") + "=" + taken(text, r"levels to (\d+) or less")
    )


@tried(("networks/dcgan", "set data.size to one of these, or the `kind` of model.generator"))
def images_that_dcgan_cannot_halve(user: User) -> None:
    command, text = _takes(user, "cgan", 12, "labelled")
    user.gets(*command, "data.size=" + taken(text, r"take 8, (16)"))
    kind = taken(text, r"to (mlp)")
    user.gets(*command, *(f"{key}.kind={kind}" for key in settings_in(text, "cgan") if key != "data.size"))


@tried(("models/stackgan", "with model.enlargement {} it must be a multiple of {}"))
def images_that_stackgan_cannot_enlarge(user: User) -> None:
    command, text = _takes(user, "stackgan", 12, "labelled")
    user.gets(*command, "data.size=" + str(2 * int(taken(text, r"must be a multiple of (\d+)"))))


@tried(("models/stargan", "training.batch_size / training.accumulate must be 2 or more"))
def a_batch_of_one_for_stargan(user: User) -> None:
    command = user.train(user.recipe("stargan", batch_size=1), "--out", "run", data=user.data("labelled"))
    text = user.refused(*command)
    size, parts = settings_in(text, "stargan")
    user.gets(*command, f"{size}=" + taken(text, r"must be (\d+) or more"), f"{parts}=1")


@tried(("models/unit_digits", "set data.size to {}, not {}"), ("networks/digits", "set data.size to 32"))
def digits_of_another_size(user: User) -> None:
    user.data("labelled")
    put(Path("target"), *(f"train/d/{number}.png" for number in range(4)))
    Path("joint").mkdir()
    Path("joint", "dataset.yaml").write_text("a: ../labelled\nb: ../target\n")
    command = user.train(user.recipe("unit-digits", {"load_size": None}), "--dry-run", data="joint")
    text = user.refused(*command)
    user.gets(*command, "data.size=" + taken(text, r"set data.size to (\d+)"))
    with pytest.raises(ValueError, match=r"set data\.size to 32"):
        _check_size(torch.zeros(1, 3, 16, 16))


@tried(("recipe/reading", "a run's folder; go on with `translate train"))
def a_runs_folder_for_a_recipe(user: User) -> None:
    run = Path(user.run("cyclegan")).rename("my run")
    text = user.refused(*user.train(str(run)))
    assert "resuming after step 4" in user.gets(*command_in(text), "training.steps=6", "--device", "cpu")


@tried(("recipe/reading", "expected section.key=value, e.g. training.lr=1e-4"))
def a_setting_without_a_value(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), "--dry-run", data=user.data())
    user.gets(*command, "--set", taken(user.refused(*command, "--set", "training.lr"), r"e\.g\. (\S+)"))


@tried(("runs/train", "--resume: which run?"))
def a_recipe_that_may_be_two_runs(user: User) -> None:
    run = Path(user.run("cyclegan")).rename("my run")
    text = user.refused("train", run / "recipe.yaml", "--resume", "training.steps=6", "--device", "cpu")
    assert "resuming after step 4" in user.gets(*command_in(text), "training.steps=6", "--device", "cpu")


@tried(("runs/train", "--set training.steps and --set training.epochs: give one of them"))
def two_lengths(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), "--dry-run", data=user.data())
    given = ["--set", "training.steps=4", "--set", "training.epochs=1"]
    options = taken(user.refused(*command, *given), r"(--set .* and --set \S+): give one").split(" and ")
    for option in options:
        user.gets(*command, *option.split()[:1], f"{option.split()[1]}=2")


@tried(
    ("runs/train", "the data set is not shapes; leave it out"),
    ("runs/train", "training.schedule is {}, not {}; leave it out"),
)
def settings_without_effect(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), "--dry-run", data=user.data())
    for setting in ("data.shapes.train=3", "training.halve_every=7"):
        more = ["--set", setting]
        text = user.refused(*command, *more)
        assert taken(text, r"--set (\S+): without effect.*leave it out").rstrip(":") == setting
    user.gets(*command)


@tried(("runs/resuming", "Put the folders back, choose with --domains, or give another --out"))
def other_domains(user: User) -> None:
    command = user.train(user.recipe("stargan", steps=6), "--out", "run", data=user.data("labelled"))
    user.gets(*command, "training.steps=4")
    put(Path("labelled"), *(f"{split}/d/{number}.png" for split in ("train", "test") for number in range(4)))
    text = user.refused(*command, "--resume")
    begun = taken(text, r"began with the domains ([\w, ]+);").replace(" ", "")
    user.gets(*command, "--resume", taken(text, r"choose with (--domains)"), begun)
    user.gets(*command[:-2], taken(text, r"give another (--out)"), "another")


@tried(
    ("runs/folder", "exists; continue it with --resume, or give another --out"),
    ("runs/setup", "already trained for {} steps; give a larger training.steps to go on"),
)
def a_folder_that_is_taken(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), data=user.data())
    user.gets(*command, "--out", "run")
    text = user.refused(*command, "--out", "run")
    told = user.gets(*command, "--out", "run", taken(text, r"continue it with (--resume)"))
    user.gets(*command, taken(text, r"give another (--out)"), "another")
    longer = taken(told, r"give a larger (training.steps)") + "=6"
    assert "resuming after step 4" in user.gets(*command, "--out", "run", "--resume", longer)


@tried(
    ("runs/resuming", "--resume cannot change the settings that the run began with"),
    ("runs/resuming", ", or give another --out to start again{}"),
    ("runs/resuming", "`translate train {} --out {} --resume`"),
)
def a_resumed_run_with_other_settings(user: User) -> None:
    recipe = user.recipe("cyclegan", steps=6)
    command = user.train(recipe, "--out", "my run", data=user.data())
    user.gets(*command, "training.steps=4")
    text = user.refused(*command, "--resume", "training.betas=[0.1, 0.9]")
    again = user.train(recipe, "training.betas=[0.1, 0.9]", taken(text, r"or give another (--out)"), "other")
    user.gets(*again)
    assert "resuming after step 4" in user.gets(*command_in(text), "--device", "cpu", "training.steps=6")


@tried(
    ("runs/folder", "another process is training into this folder"),
    ("runs/folder", "cannot be written ({}); give another"),
    ("runs/small_files", "cannot be written ({}); give another"),
)
def a_folder_that_cannot_be_had(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), data=user.data())
    Path("busy").mkdir()
    with held(Path("busy", LOCK)):
        text = user.refused(*command, "--out", "busy")
    user.gets(*command, "--out", "busy")
    user.gets(*command, taken(text, r"give another (--out)"), "one")
    Path("file").write_text("x")
    user.gets(*command, taken(user.refused(*command, "--out", "file/run"), r"give another (--out)"), "two")


@tried(
    ("utils/signals", "queue the job again yourself, with --resume"),
    ("training/saving", "saved, continue with --resume"),
)
def a_run_that_slurm_stops(user: User) -> None:
    user.monkeypatch.setenv("SLURM_JOB_ID", "4711")
    user.monkeypatch.setenv("PATH", str(user.folder))
    command = user.train(user.recipe("cyclegan"), "--out", "run", data=user.data())
    step = Trainer.step
    with user.monkeypatch.context() as patched:

        def stopping(self: Trainer, batch: object) -> None:
            step(self, batch)
            os.kill(os.getpid(), signal.SIGUSR1)

        patched.setattr(Trainer, "step", stopping)
        text = user.refused(*command, code=75)
    assert taken(text, r"saved, continue with (--resume)") == taken(requeue(), r"with (--resume)")
    assert "resuming after step 1" in user.gets(*command, taken(text, r"queue the job again yourself, with (--resume)"))


@tried(("reporting/tracking/wandb_login", "WANDB_MODE, or the mode that wandb stored"))
def an_unknown_mode_of_the_tracker(user: User) -> None:
    command = user.train(user.recipe("cyclegan"), "--out", "run", data=user.data())
    user.monkeypatch.setenv("WANDB_MODE", "loud")
    text = user.refused(*command)
    user.monkeypatch.setenv(taken(text, "WANDB_MODE"), taken(text, r"expected online, offline or (\w+)"))
    user.gets(*command)


@tried(("training/saving", "Train again with a lower training.lr or with training.precision=float32"))
def a_run_that_diverges(user: User) -> None:
    command = user.train(user.recipe("cyclegan", skip_limit=2), data=user.data())
    text = user.refused(*command, "--out", "run", "training.lr=1e30", code=1)
    assert settings_in(text, "cyclegan") == ["training.skip_limit", "training.lr", "training.precision"]
    user.gets(*command, "--out", "one", taken(text, r"with a lower (training.lr)") + "=1e-4")
    user.gets(*command, "--out", "two", taken(text, r"or with (training.precision=\w+)"))


@tried(
    ("training/runtime", "use --device cpu, or check"),
    ("training/runtime", "no Apple GPU is available here; use --device cpu"),
)
def a_device_that_is_not_there(user: User) -> None:
    command = ["train", user.recipe("cyclegan"), "--data", user.data(), "--dry-run"]
    for device in ("cuda:77", "mps"):
        text = user.refused(*command, "--device", device)
        user.gets(*command, *taken(text, r"use (--device \w+)").split())


@tried(
    ("training/runtime", "expected auto, cpu, cuda, cuda:N or mps"),
    ("training/runtime", "expected auto or plain first, e.g. auto,no-bf16"),
    ("training/runtime", "no option '{}'{}"),
)
def words_that_the_engine_does_not_know(user: User) -> None:
    command = ["train", user.recipe("cyclegan"), "--data", user.data(), "--dry-run"]
    user.gets(*command, "--device", taken(user.refused(*command, "--device", "tpu"), r"expected auto, (cpu)"))
    command += ["--device", "cpu", "--engine"]
    user.gets(*command, taken(user.refused(*command, "fast"), r"e\.g\. (\S+)"))
    user.gets(*command, "auto,no-" + taken(user.refused(*command, "auto,channel-last"), "did you mean '(.*)'"))


@tried(("training/distributed", "start them with torchrun"))
def a_process_that_is_alone(user: User) -> None:
    """What torchrun then does is in test_distributed.py."""
    command = user.train(user.recipe("cyclegan"), data=user.data())
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        user.monkeypatch.setenv(name, value)
    assert entry_points(name=taken(user.refused(*command), r"start them with (torchrun)"))
    user.monkeypatch.delenv("WORLD_SIZE")
    user.gets(*command)


@tried(
    ("training/distributed", "several processes take cpu, or cuda"),
    ("training/distributed", "or take the CPU (--device cpu)"),
)
def a_gpu_for_each_of_several_processes(user: User) -> None:
    from translate.errors import ConfigurationError
    from translate.training.distributed import _own_device

    for device in ("cuda:0", "cuda"):
        with pytest.raises(ConfigurationError) as refused:
            _own_device(device, 99)
        assert _own_device(taken(str(refused.value), r"(?:take |--device )(cpu)"), 99) == "cpu"
    options_in("--device", "train")


@parsed(
    GPU,
    ("runs/build", "model.generator.dropout to false or 0, or leave out cuda-graphs"),
    ("runs/train", "leave cuda-graphs out"),
)
def captured_steps(user: User) -> None:
    text = "model.generator.checkpointing model.generator.dropout --runtime"
    settings_in(text, "pix2pix")
    settings_in(text, "cyclegan")
    assert options_in(text, "train") == ["--runtime"]
    command = user.train(
        user.recipe("pix2pix"), "--dry-run", "model.generator.checkpointing=true", data=user.data("paired")
    )
    user.gets(*command, "model.generator.dropout=0", "--runtime", "auto,no-cuda-graphs")


@parsed(
    "two processes, and going on with --resume, are in test_distributed.py and faults/test_failing_rank.py",
    ("training/distributed", "not the same everywhere"),
    ("training/distributed", "Go on with --resume"),
)
def processes_that_differ(user: User) -> None:
    assert options_in("--resume", "train") == ["--resume"]


@parsed(
    "a collapse takes thousands of steps to come about: their settings are given to a run",
    ("training/diagnostics", "Lower the weights that keep it there"),
    ("training/diagnostics", "The generator has collapsed"),
    ("training/diagnostics", "This rarely goes away"),
    ("training/diagnostics", "Raise model.classification"),
    ("training/diagnostics", "The generator no longer learns from it"),
)
def what_the_doctor_orders(user: User) -> None:
    text = _won(1, "", 0.0).remedy
    assert set(settings_in(text, "cyclegan")) == {
        "training.network_lr",
        "model.adversarial.r1",
        "model.adversarial.augment",
    }
    unpaired = user.train(user.recipe("cyclegan"), "--dry-run", data=user.data())
    rates = "training.network_lr={discriminator_a: 1e-5, generator_a: 1e-5}"
    for setting in ("r1=1", "gradient_penalty=1", "augment=[colour]"):
        user.refused(*unpaired, rates.replace("_a", "_b"), f"model.adversarial.{setting}", code=0)
    user.gets(*unpaired, "model.cycle=5", "model.identity=0.5", "training.seed=2", "training.lr=1e-5")
    user.gets(*user.train(user.recipe("direct"), "--dry-run", "model.content_weight=1"))
    user.gets(*user.train(user.recipe("pix2pix"), "--dry-run", "model.reconstruction=1", data=user.data("paired")))
    labelled = user.train(user.recipe("stargan"), "--dry-run", data=user.data("labelled"))
    user.gets(*labelled, "model.classification=2", "data.balanced=true")
    user.gets("data", "check", "unpaired")


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
