"""Processes that train together, as torchrun starts them, without torchrun's own, which takes seconds."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

from warm import Warm


def ranks(command: list[Any], folder: Path, environment: dict[str, str], count: int = 2) -> list[Warm]:
    """`count` processes that find each other, in this folder; what they print is text in pipes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {**environment, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [
        Warm(command, cwd=folder, env={**here, "RANK": str(rank), "LOCAL_RANK": str(rank)}, **pipes)
        for rank in range(count)
    ]
