"""Two processes on the CPU train as one process of twice the batch; what is written is written once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from loaders import make_loader
from patience import PATIENCE
from ranks import ranks
from safetensors.torch import load_file
from two_ranks import CASES, train_case, train_two_painters

from translate.data.batch import Paired, Unpaired
from translate.data.io.images import Picture, write
from translate.data.loader import Loader
from translate.data.source_file import Source
from translate.data.synthetic.points import PointLoader, ring
from translate.errors import ConfigurationError
from translate.reporting.tracking import read_metrics
from translate.runs.image_sets import share_of
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import load_model
from translate.training.checkpoint import load_checkpoint, saved_steps
from translate.training.distributed import Distributed, join
from translate.training.trainer import step_seed

SUPPORT = Path(__file__).resolve().parents[1] / "support"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(SUPPORT.parents[1]), str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TRANSLATE_HOME": str(folder / "home")}


def uneven_folder(root: Path) -> Path:
    """Five images beside three: neither is a multiple of what two processes take."""
    for domain, count in (("A", 5), ("B", 3)):
        for split in ("train", "test"):
            tiny.write_images(root / f"{split}{domain}", [f"{index}.png" for index in range(count)], seed=count)
    return root


def write_recipe(path: Path, model: str = "cyclegan", **training: object) -> Path:
    settings = {"steps": 4, "batch_size": 2, "log_every": 2, "sample_every": 4, "validate_every": 4}
    settings |= {"checkpoint_every": 2, "precision": "float32", **training}
    recipe = {"model": tiny.TINY[model], "data": {"size": tiny.SIZE, "load_size": 18, "workers": 1}}
    path.write_text(json.dumps({**recipe, "training": settings}))
    return path


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """The folder in which two processes did what `two_ranks` says."""
    folder = tmp_path_factory.mktemp("two")
    uneven_folder(folder / "data")
    write_recipe(folder / "recipe.yaml")
    tiny.paired_folder(folder / "paired")
    write_recipe(folder / "paired.yaml", "pix2pix", steps=2)
    script = SUPPORT / "two_ranks.py"
    both = ranks([sys.executable, script, folder], folder, environment(folder))
    errors = [rank.communicate(timeout=PATIENCE)[1] for rank in both]
    assert [rank.returncode for rank in both] == [0, 0], "\n".join(errors)[-4000:]
    return folder


def facts(folder: Path, rank: int) -> dict:
    return json.loads((folder / f"facts.rank{rank}.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_equal_one_process_of_twice_the_batch(two, name):
    alone = train_case(name, None)
    first, second = (load_file(two / f"{name}.rank{rank}.safetensors") for rank in range(2))
    for key, value in alone.model.state_dict().items():
        if "pool" in key:
            continue  # every rank has its own
        torch.testing.assert_close(first[key], value, rtol=1e-7, atol=1e-8, msg=lambda text, key=key: f"{key}: {text}")
        assert torch.equal(first[key], second[key]), f"{key} differs between the ranks"
    losses = alone.read_losses()
    for rank in range(2):
        assert facts(two, rank)["losses"][name] == pytest.approx(losses, rel=1e-5, abs=1e-6)


def test_two_ranks_generate_anew_within_a_step_as_one_process_does(two):
    alone = train_two_painters(None)
    for rank in range(2):
        found = load_file(two / f"two painters.rank{rank}.safetensors")
        for key, value in alone.model.state_dict().items():
            torch.testing.assert_close(found[key], value.contiguous(), rtol=0, atol=1e-12)


def test_what_ranks_tell_each_other_is_heard_by_all(two):
    for rank in range(2):
        heard = facts(two, rank)
        assert heard["averaged"] == [[0.5], 2.5]
        assert heard["numbers"] == [0, 0, 15, 0], "one call late, and by both at the same"
        assert "not the same everywhere: own" in heard["reason"] and "alike" not in heard["reason"]
    assert facts(two, 0)["collected"] == [[0], [1]]


def test_a_rank_alone_hears_itself_at_once():
    alone = Distributed()
    tensor = torch.ones(2)
    alone.average([tensor])
    assert (alone.is_main, alone.largest(15), tensor.tolist()) == (True, 15, [1, 1])
    assert alone.collect({"pool": tensor})[0]["pool"].tolist() == [1, 1]
    alone.require_same({"own": 1})
    alone.wait()
    with join("cpu") as joined:
        assert (joined.size, joined.device) == (1, "cpu")


def test_one_process_writes_and_each_has_its_pool_in_the_checkpoint(two):
    whole = two / "whole"
    rows = [row["step"] for row in read_metrics(whole / "metrics.jsonl")]
    assert sorted(set(rows)) == [2, 4]
    losses = [row for row in read_metrics(whole / "metrics.jsonl") if "discriminator_a/adversarial" in row]
    assert len(losses) <= 2
    assert sorted(path.name for path in (whole / "samples").iterdir()) == ["step-00000000.png", "step-00000004.png"]
    assert saved_steps(whole / "checkpoints") == [2, 4]
    checkpoint = load_checkpoint(whole / "checkpoints")
    assert checkpoint.facts["processes"] == 2
    pools = [checkpoint.tensors(part) for part in ("training", "training.rank1")]
    names = [key for key in pools[1] if "images" in key]
    assert names and all(not torch.equal(pools[0][name], pools[1][name]) for name in names)
    assert (whole / "report.html").is_file() and not list(whole.glob("**/*.tmp*"))


def test_a_signal_to_one_rank_stops_all_at_the_same_step_and_the_run_goes_on_as_if_it_had_not(two):
    said = {facts(two, rank)["stopped"] for rank in range(2)}
    assert len(said) == 1 and "SIGTERM after step 2" in said.pop()
    for part in ("model", "training", "training.rank1"):
        whole, resumed = (load_checkpoint(two / name / "checkpoints").tensors(part) for name in ("whole", "stopped"))
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[key], resumed[key]) for key in whole), part


def test_samples_and_measures_with_batch_statistics_are_those_of_one_process(two):
    """pix2pix converts in training mode, where batch norm looks at all ranks: all of them have to be there."""
    assert (two / "pix2pix" / "samples" / "step-00000002.png").is_file()
    loaded = load_model(two / "pix2pix")
    (validation,) = open_data(loaded.recipe.data, Paired, lambda line: None).validations(loaded.model, 64, tiny.CPU)
    (row,) = (row for row in read_metrics(two / "pix2pix" / "metrics.jsonl") if "validation/to_B/l1" in row)
    alone = validation.measure(loaded.model.train(), tiny.CPU)
    assert row["validation/to_B/l1"] == pytest.approx(alone["l1"], rel=1e-4)


def test_a_run_goes_on_at_another_number_of_ranks_with_as_many_images_a_step(two, run_cli, tmp_path):
    data = two / "data"
    recipe = write_recipe(tmp_path / "recipe.yaml", steps=6)
    command = ["train", recipe, "--data", data, "--out", two / "stopped", "--device", "cpu", "--resume"]
    refused = run_cli(*command)
    assert refused.exit_code == 2 and "images a step" in refused.stderr and "4 then, 2 now" in refused.stderr
    resumed = run_cli(*command, "--set", "training.batch_size=4")
    assert resumed.exit_code == 0, resumed.stderr
    assert load_checkpoint(two / "stopped" / "checkpoints").step == 6
    assert load_checkpoint(two / "stopped" / "checkpoints").facts["processes"] == 1


def test_the_command_under_torchrun_leaves_one_run(tmp_path):
    data, recipe = uneven_folder(tmp_path / "data"), write_recipe(tmp_path / "recipe.yaml", steps=2)
    command = [*TORCHRUN, "-m", "translate", "train", recipe, "--data", data, "--device", "cpu"]
    done = subprocess.run(
        command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.split() == ["runs/recipe-data"]
    assert "2 processes x 2 = 4 images a step" in done.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["recipe-data"]


def test_no_two_ranks_draw_the_same_random_numbers():
    """A CPU's generator reads no more than 32 bits of a seed."""
    seeds = {step_seed(seed, step, rank) % 2**32 for seed in range(5) for step in range(200) for rank in range(16)}
    assert len(seeds) == 5 * 200 * 16


@pytest.mark.parametrize("workers", [0, 2])
def test_the_shares_of_ranks_are_one_process_with_all_images(tmp_path, workers):
    for index in range(5):
        write(tmp_path / f"{index}.png", Picture(np.full((4, 4, 1), index, np.uint8)))
    split = tuple(tuple(Source(tmp_path / f"{index}.png") for index in range(count)) for count in (5, 3))

    def loader(size: int) -> Loader:
        return make_loader(split, make=Unpaired, channels=1, size=4, batch_size=size, workers=workers)

    whole = loader(6)
    shares = [share_of(loader(2).stream, rank, 3) for rank in range(3)]
    streams = [share(7) for share in shares]
    for step in range(7, 12):
        mine = [next(stream) for stream in streams]
        for name in ("a", "b"):
            assert torch.equal(torch.cat([getattr(batch, name) for batch in mine]), getattr(whole.batch(step), name))
    for stream in streams:
        stream.close()


def test_no_two_ranks_draw_the_same_points():
    streams = [share_of(PointLoader(ring(), 4, seed=0).stream, rank, 2)(3) for rank in range(2)]
    drawn = [next(stream).images for _ in range(3) for stream in streams]
    assert len({points.numpy().tobytes() for points in drawn}) == 6
    assert torch.equal(drawn[2], PointLoader(ring(), 4, seed=0).batch(8).images)


def test_a_device_of_several_processes_is_their_own(monkeypatch):
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigurationError, match="process 2 of its machine"), join("auto"):
        pass
    with pytest.raises(ConfigurationError, match="each the GPU of its number"), join("cuda:0"):
        pass
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="start them with torchrun"), join("cpu"):
        pass


@pytest.mark.slow
def test_two_processes_stop_early_together(tmp_path, run_cli, tiny_recipe):
    """At the step after which the main process's patience has run out, with the best saved."""
    recipe, data = tiny_recipe("pix2pix"), tiny.paired_folder(tmp_path / "pairs")
    words = ["train", recipe, "--data", data, "--out", "run", "--device", "cpu", "--wandb", "disabled", "-q"]
    settings = ["training.steps=90", "training.patience=2", "training.validate_every=1", "training.lr=0.05"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "translate", *map(str, words), *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    facts = load_checkpoint(tmp_path / "run" / "checkpoints").facts
    assert facts["stopped_early"] and facts["step"] == facts["best"] + 2 < 90
