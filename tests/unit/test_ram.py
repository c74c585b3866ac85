"""What main memory is free: by pretended trees of /proc and /sys, and in a control group made for the test."""

import os
import secrets
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from translate.data.cache import choice
from translate.data.cache import device as on_device
from translate.data.cache.memory import Memory
from translate.data.decoding import Decoding
from translate.utils.ram import available_ram

GB = 1 << 30
MACHINE = 16 * GB
MOUNTS = {
    "v1": "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
    "36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
    "v2": "35 31 0:32 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate",
}
MEMBERS = {"v1": "4:memory:{path}\n1:cpu,cpuacct:/\n0::/", "v2": "0::{path}"}


def machine(root: Path, version: str, path: str, mounts: str | None = None) -> Path:
    """A machine with 16 GB free, whose process is in the group `path`; returns the folder of the outermost group."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(
        f"MemTotal: {2 * MACHINE // 1024} kB\nMemFree: {GB // 1024} kB\nMemAvailable: {MACHINE // 1024} kB\n"
    )
    (root / "proc/self/mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda rw\n" + (mounts or MOUNTS[version]))
    (root / "proc/self/cgroup").write_text(MEMBERS[version].format(path=path))
    top = root / ("sys/fs/cgroup/memory" if version == "v1" else "sys/fs/cgroup")
    top.mkdir(parents=True)
    return top


def group(folder: Path, version: str, limit: int | None, used: int, **facts: int) -> None:
    """A group with a limit of memory; `facts` as memory.stat names them, all 0 unless they are given."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {
        "v1": ("memory.limit_in_bytes", "memory.usage_in_bytes", 9223372036854771712),
        "v2": ("memory.max", "memory.current", "max"),
    }
    limited, usage, unlimited = names[version]
    (folder / limited).write_text(f"{unlimited if limit is None else limit}\n")
    (folder / usage).write_text(f"{used}\n")
    (folder / "memory.stat").write_text("".join(f"{name} {value}\n" for name, value in facts.items()))


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(("limited", "expected"), [("", 2), ("/jobs", 2), ("/jobs/mine", 2), ("nowhere", 8)])
def test_the_least_that_a_group_or_one_around_it_leaves_counts(tmp_path, version, limited, expected):
    top = machine(tmp_path, version, "/jobs/mine")
    for path in ("", "/jobs", "/jobs/mine", "/others"):
        group(top / path.lstrip("/"), version, 3 * GB if path == limited else 9 * GB if path else None, GB)
    group(top / "others", version, 1, 1)
    assert available_ram(tmp_path) == expected * GB


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_file_cache_is_free_unless_it_is_mapped(tmp_path, version):
    top = machine(tmp_path, version, "/mine")
    total, mapped = ("total_", "total_mapped_file") if version == "v1" else ("", "file_mapped")
    facts = {f"{total}inactive_file": GB, f"{total}active_file": GB, mapped: GB // 2, "anon": GB}
    group(top / "mine", version, 4 * GB, 3 * GB, **facts)
    assert available_ram(tmp_path) == 4 * GB - 3 * GB + 2 * GB - GB // 2
    group(top / "mine", version, 2 * GB, 3 * GB, **{mapped: GB})
    assert available_ram(tmp_path) == 0


def test_what_a_group_is_slowed_down_at_and_what_lies_out_of_sight_count_too(tmp_path):
    top = machine(tmp_path / "v2", "v2", "/mine")
    group(top / "mine", "v2", 6 * GB, GB)
    (top / "mine/memory.high").write_text(f"{3 * GB}\n")
    assert available_ram(tmp_path / "v2") == 2 * GB
    top = machine(tmp_path / "v1", "v1", "/mine")
    group(top / "mine", "v1", None, GB, hierarchical_memory_limit=5 * GB)
    assert available_ram(tmp_path / "v1") == 4 * GB


@pytest.mark.parametrize(
    ("path", "top", "place", "own"),
    [
        ("/", "/", "/sys/fs/cgroup", ""),  # a container with a namespace of its own
        ("/docker/a1", "/docker/a1", "/sys/fs/cgroup", ""),  # one without
        ("/docker/a1/b", "/docker/a1", "/sys/fs/cgroup", "b"),
        ("/../other", "/", "/sys/fs/cgroup", ""),  # a process from outside of the namespace
        ("/elsewhere", "/docker/a1", "/sys/fs/cgroup", ""),
        ("/mine", "/", "/mnt/control groups", "mine"),
    ],
)
def test_a_group_is_found_wherever_it_is_mounted(tmp_path, path, top, place, own):
    escaped = place.replace(" ", "\\040")
    machine(tmp_path, "v2", path, f"35 31 0:32 {top} {escaped} rw - cgroup2 cgroup2 rw")
    group(tmp_path / place.lstrip("/") / own, "v2", 2 * GB, GB)
    assert available_ram(tmp_path) == GB


def test_both_versions_at_once_are_read(tmp_path):
    mounts = f"{MOUNTS['v1']}\n37 31 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
    top = machine(tmp_path, "v1", "/mine", mounts)
    (top.parent / "unified").mkdir()  # without files of memory, which version 1 has
    group(top / "mine", "v1", 3 * GB, GB)
    assert available_ram(tmp_path) == 2 * GB


@pytest.mark.parametrize("broken", ["no groups", "no mounts", "empty files", "words"])
def test_a_system_that_tells_less_is_believed_as_far_as_it_goes(tmp_path, broken):
    top = machine(tmp_path, "v2", "/mine")
    group(top / "mine", "v2", GB, 0)
    if broken == "no groups":
        (tmp_path / "proc/self/cgroup").unlink()
    elif broken == "no mounts":
        (tmp_path / "proc/self/mountinfo").write_text("")
    else:
        (top / "mine/memory.max").write_text("" if broken == "empty files" else "much\n")
    assert available_ram(tmp_path) == MACHINE


def test_an_old_kernel_that_does_not_say_what_is_available(tmp_path):
    machine(tmp_path, "v1", "/")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 100 kB\nMemFree: 40 kB\n")
    assert available_ram(tmp_path) == 40 * 1024


def test_images_in_memory_take_half_of_what_is_free_at_most(monkeypatch):
    for module in (choice, on_device):
        monkeypatch.setattr(module, "available_ram", lambda: 1000)
    cache = choice.open_cache("ram", None, Decoding(3, 8))
    assert isinstance(cache, Memory) and cache._room == 500
    assert on_device._limit(choice.torch.device("cpu")) == 500


@pytest.fixture
def limited_group() -> Iterator[Path]:
    """A control group, two deep, of at most 300 MB in the outer one; skips where none may be made."""
    version_1, version_2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    top, limit = (
        (version_1, "memory.limit_in_bytes") if (version_1 / "cgroup.procs").exists() else (version_2, "memory.max")
    )
    outer = top / f"translate-test-{secrets.token_hex(4)}"
    try:
        (outer / "inner").mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        try:
            (outer / limit).write_text(str(300 << 20))
        except OSError as error:
            pytest.skip(f"control groups cannot limit memory here: {error}")
        yield outer / "inner"
    finally:
        (outer / "inner").rmdir()
        outer.rmdir()


def test_the_limit_of_a_real_group_around_the_own_is_seen(limited_group):
    code = textwrap.dedent("""
        import os, sys
        with open(os.path.join(sys.argv[1], "cgroup.procs"), "w") as file:
            file.write(str(os.getpid()))
        from translate.utils.ram import available_ram
        held = bytearray(100 << 20)
        held[::4096] = bytes(1) * len(held[::4096])
        print(available_ram())
    """)
    run = subprocess.run(
        [sys.executable, "-c", code, str(limited_group)], capture_output=True, text=True, check=False, env=os.environ
    )
    assert run.returncode == 0, run.stderr
    assert 0 < int(run.stdout) <= 200 << 20
