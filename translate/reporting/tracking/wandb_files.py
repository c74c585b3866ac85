"""Reads what earlier parts of a run left in wandb's offline files, so that nothing is tracked twice."""

import struct
from collections.abc import Iterator
from pathlib import Path

_HEADER, _BLOCK = 7, 32768
_WHOLE, _LAST = 1, 4


def offline_parts(folder: Path) -> list[Path]:
    """The files that wandb wrote offline for the run in `folder`, oldest first: one for each time it was started."""
    return sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"))


def is_uploaded(part: Path) -> bool:
    """Whether `wandb sync` has uploaded this file."""
    return part.with_suffix(".wandb.synced").exists()


def tracked_until(folder: Path, run_id: str) -> int:
    """The last step whose row is in an offline file of this run; -1 where there is none."""
    parts = [part for part in offline_parts(folder) if part.name == f"run-{run_id}.wandb"]
    return max((step for part in parts for step in _steps(part)), default=-1)


def _steps(part: Path) -> Iterator[int]:
    from wandb.proto.wandb_internal_pb2 import Record

    for data in records(part.read_bytes()):
        record = Record.FromString(data)
        if record.HasField("history"):
            yield record.history.step.num


def records(data: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format, up to where a killed process tore it: pieces with a head of
    checksum, length and kind, none of them across two blocks."""
    position, whole = _HEADER, b""
    while position + _HEADER <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER:
            position += left
            continue
        length, kind = struct.unpack_from("<HB", data, position + 4)
        start, position = position + _HEADER, position + _HEADER + length
        if kind == 0 or position > len(data):
            return
        whole += data[start:position]
        if kind in (_WHOLE, _LAST):
            yield whole
            whole = b""
