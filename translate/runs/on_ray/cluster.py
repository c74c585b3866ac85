"""The cluster: connected to, counted, and looked at before it converts."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from translate.errors import ConfigurationError, TranslateError
from translate.inference.cluster import ClusterOptions
from translate.inference.formats.exported import needed
from translate.utils.printing import shown
from translate.version import __version__

TOKEN = secrets.token_hex(32)
"""Of clusters that this process starts."""
CONNECTING = 3.0
"""Seconds for a head that is named to answer; Ray itself waits much longer."""


@contextmanager
def connected(cluster: ClusterOptions) -> Iterator[Any]:
    """Ray, connected until the context ends. Nothing is reported to its makers."""
    address, local = cluster.ray or "auto", cluster.ray == "local"
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if local and "RAY_AUTH_MODE" not in os.environ:
        # Ray listens at this machine's outer address, too, and runs what it is sent by whoever knows the token.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    ray: Any = needed("ray", "ray")
    if not local and address != "auto":
        _require_answer(address)
    own = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} if local else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f"--ray {address}: no cluster answers here ({str(error).splitlines()[0]}); start one with `ray start "
            "--head`, name its HOST:PORT, or give --ray local for this machine alone"
        ) from error
    except Exception as error:  # a bare Exception, where a machine is so busy that Ray gives up
        raise TranslateError(
            f"Ray did not start ({str(error).splitlines()[0]}); try again when less runs here"
        ) from error
    with redirect_stdout(sys.stderr):  # where Ray tells of lost processes
        try:
            yield ray
        finally:
            ray.shutdown()


def _require_answer(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigurationError(f"--ray {address}: expected auto, local, or HOST:PORT of the cluster's head")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECTING).close()
    except OSError as error:
        raise ConfigurationError(f"--ray {address}: nothing answers there ({error})") from error


def on_gpus(ray: Any, device: str) -> bool:
    """Whether processes take a GPU each, by what the user chose as `device`."""
    return device.startswith("cuda") or (device == "auto" and ray.cluster_resources().get("GPU", 0) >= 1)


def places(ray: Any, cluster: ClusterOptions, device: str) -> int:
    """How many blocks can be under way at once. Raises ConfigurationError if none can."""
    has = ray.cluster_resources()
    count = int(has.get("CPU", 0) // cluster.cpus_per_worker)
    if on_gpus(ray, device):
        count = min(count, int(has.get("GPU", 0)))
    if not count:
        raise ConfigurationError(
            f"--cpus-per-worker {cluster.cpus_per_worker}: no machine of the cluster has as many (it has "
            f"{has.get('CPU', 0):g} cores and {has.get('GPU', 0):g} GPUs in all); give fewer"
        )
    return count


def machines(ray: Any) -> str:
    """How many machines there are, in words."""
    count = sum(node["Alive"] for node in ray.nodes())
    return "1 machine" if count == 1 else f"{count} machines"


def require_alike(ray: Any, first: Path, output: Path) -> None:
    """Raises ConfigurationError unless every machine has this version, reads the `first` input and writes outputs."""
    affinity = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    alive = [node for node in ray.nodes() if node["Alive"]]
    each = [affinity(node["NodeID"], soft=False) for node in alive]
    looks = [
        ray.remote(num_cpus=0, scheduling_strategy=node)(_look).remote(__version__, first, output) for node in each
    ]
    for node, look in zip(alive, looks, strict=True):
        try:
            lacking = ray.get(look)
        except ray.exceptions.RayError as error:
            lacking = f"cannot run this package ({str(error).strip().splitlines()[-1]})"
        if lacking:
            raise ConfigurationError(
                f"the machine {node['NodeManagerHostname']} of the cluster {lacking}; all machines need the same "
                "package, and the same folders at the same paths"
            )


def _look(version: str, source: Path, output: Path) -> str:
    """What lacks on this machine; empty if nothing does."""
    if __version__ != version:
        return f"has version {__version__} of image-translate, and this one has {version}"
    if not os.access(source, os.R_OK):
        return f"does not see {shown(source)}"
    if not os.access(output, os.W_OK):
        return f"cannot write into {shown(output)}"
    return ""


def died(ray: Any) -> tuple[type[Exception], ...]:
    """What is raised for a task whose processes, or machines, were lost."""
    errors = ray.exceptions
    return errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError, errors.LocalRayletDiedError
