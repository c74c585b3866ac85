"""A folder converted on a Ray cluster of this machine: the same files as without, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from images_child import TESTS, translate
from patience import PATIENCE
from tiny import write_images

pytest.importorskip("ray", reason="needs Ray: pip install 'image-translate[ray]'")

DEADLY = """
import os, time
from translate.evaluation.metrics import MEASURES
from translate.inference import folder

read = folder.read_sample

def deadly(path, *more):
    time.sleep(0.01)
    if path.name == "poison.png":
        os.kill(os.getpid(), 9)
    return read(path, *more)

folder.read_sample = deadly
MEASURES["of a plugin"] = MEASURES["l1"]
"""


@pytest.fixture(autouse=True)
def short_paths(monkeypatch):
    """Where Ray has its sockets: longer paths than a hundred letters cannot be."""
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")


@pytest.fixture
def photos(tmp_path):
    names = [f"{number:03}.png" for number in range(150)]
    write_images(tmp_path / "in", names, size=16)
    (tmp_path / "in" / "050.png").write_bytes(b"no image")
    return tmp_path


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def test_a_cluster_makes_the_same_files_in_the_same_order_and_goes_on_where_it_was(trained_once, photos):
    command = ("convert", trained_once("pix2pix") / "run-pix2pix", "in")
    plain = translate(*command, "plain", "--manifest", "plain.jsonl", cwd=photos).ended_in_words(3)
    on_ray = ("ray", "--manifest", "ray.jsonl", "--ray", "local")
    ended = translate(*command, *on_ray, cwd=photos).ended_in_words(3)
    assert outputs(photos / "ray") == outputs(photos / "plain") and len(outputs(photos / "ray")) == 149
    assert plain.stdout.splitlines()[0] == ended.stdout.splitlines()[0] == "149 converted, 0 skipped, 1 failed"
    rows = [json.loads(line) for line in (photos / "ray.jsonl").read_text().splitlines()]
    assert [Path(row["source"]).name for row in rows] == sorted(path.name for path in (photos / "in").iterdir())
    assert [row["status"] for row in rows].index("failed") == 50
    (photos / "ray" / "000.png").unlink()
    again = translate(*command, *on_ray, cwd=photos).ended_in_words(3)
    assert again.stdout.splitlines()[0] == "1 converted, 148 skipped, 1 failed"
    assert outputs(photos / "ray") == outputs(photos / "plain")


def test_a_file_that_ends_its_process_fails_alone(trained_once, photos):
    (photos / "deadly.py").write_text(DEADLY)
    write_images(photos / "in", ["poison.png"], size=16)
    command = ("convert", trained_once("pix2pix") / "run-pix2pix", "in", "out", "--plugin", "deadly.py")
    ended = translate(*command, "--ray", "local", "--manifest", "rows.jsonl", cwd=photos).ended_in_words(3)
    assert "failed: in/poison.png: ended the process that converted it" in ended.stderr.replace(f"{photos}/", "")
    assert ended.stdout.splitlines()[0] == "149 converted, 0 skipped, 2 failed" and len(outputs(photos / "out")) == 149
    rows = [json.loads(line)["status"] for line in (photos / "rows.jsonl").read_text().splitlines()]
    assert (rows.count("written"), rows.count("failed"), len(rows)) == (149, 2, 151)


def processes(of: str) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdecimal() and of.encode() in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.slow
def test_what_a_lost_process_and_a_lost_machine_had_is_done_again(trained_once, photos):
    """Two machines, of which one dies; and a process of the other."""
    from ray.cluster_utils import Cluster

    (photos / "slow.py").write_text(DEADLY)
    write_images(photos / "in", [f"more-{number:04}.png" for number in range(1500)], size=16)
    command = ["convert", trained_once("pix2pix") / "run-pix2pix", "in"]
    translate(*command, "plain", cwd=photos).ended_in_words(3)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        words = [*command, "ray", "--plugin", "slow.py", "--ray", cluster.address, "--manifest", "rows.jsonl"]
        environment = {**os.environ, "PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
        line = [sys.executable, "-m", "translate", *map(str, words)]
        child = subprocess.Popen(line, cwd=photos, env=environment, stdout=subprocess.PIPE, text=True)
        for count, kill in (
            (200, lambda: [os.kill(pid, signal.SIGKILL) for pid in processes("ray::_block")[:1]]),
            (500, lambda: cluster.remove_node(second, allow_graceful=False)),
        ):
            while len(outputs(photos / "ray")) < count:
                assert child.poll() is None
                time.sleep(0.05)
            kill()
        out, _ = child.communicate(timeout=PATIENCE)
    finally:
        cluster.shutdown()
    assert child.returncode == 3 and out.splitlines()[0] == "1649 converted, 0 skipped, 1 failed"
    assert outputs(photos / "ray") == outputs(photos / "plain")
    names = [json.loads(line)["source"] for line in (photos / "rows.jsonl").read_text().splitlines()]
    assert len(names) == len(set(names)) == 1650
