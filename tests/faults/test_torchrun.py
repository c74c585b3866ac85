"""A folder converted by the processes of one torchrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE
from tiny import write_images

from translate.inference.jobs import Jobs


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun is not for Windows")
def test_one_bad_image_ends_no_other_process_of_torchrun(tmp_path: Path, generator: Path):
    """The first process has a bad image and nothing else; the second, all good ones."""
    names = [f"{number}.png" for number in range(60)]
    good = [job.name for job in Jobs(tmp_path, tmp_path, names, lambda name: name).shard(2, 2)]
    write_images(tmp_path / "in", good, size=700)
    bad = next(name for name in names if name not in good)
    (tmp_path / "in" / bad).write_bytes(b"words")
    root = str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *("-m", "translate", "convert", generator, "in", "out", "--device", "cpu"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert len(list((tmp_path / "out").glob("*.png"))) == len(good) > 20, ended.stderr
    assert f"{len(good)} converted, 0 skipped, 0 failed" in ended.stdout
    assert "0 converted, 0 skipped, 1 failed" in ended.stdout
    assert ended.returncode == 1 and "exitcode  : 3" in ended.stderr, ended.stderr
