"""Processes started together, each with its own part of the work: none leaves before all have done theirs.

torchrun ends all processes as soon as one ends with another exit code than 0, which may only say that one file failed.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch.distributed as dist

LIMIT = 120.0
"""Seconds without a sign of life after which a process counts as dead."""
_BEAT, _POLL = 5.0, 0.2
_CONNECTING = timedelta(seconds=30)


@contextmanager
def leaving_together(log: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Context that ends when all processes are at its end, or dead, however each comes there; not if interrupted.

    A single process, or one whose launcher names no place to meet (MASTER_ADDR, MASTER_PORT), waits for nobody.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    store = _meeting_place(rank, log) if size > 1 and "MASTER_ADDR" in os.environ else None
    if store is None:
        yield
        return
    stop = threading.Event()
    threading.Thread(target=_beat, args=(rank, stop), daemon=True).start()
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except (Exception, SystemExit):
        _wait_for_all(store, rank, size, log)
        raise
    else:
        _wait_for_all(store, rank, size, log)
    finally:
        stop.set()


def _meeting_place(rank: int, log: Callable[[str], None]) -> dist.Store | None:
    """The launcher's key-value store, or the first process's own; None if it does not answer."""
    launchers = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    try:
        store = dist.TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=rank == 0 and not launchers,
            timeout=_CONNECTING,
            wait_for_workers=False,
        )
    except (RuntimeError, ValueError, KeyError) as error:
        log(f"warning: process {rank} does not find the others and will not wait for them ({_first_line(error)})")
        return None
    return dist.PrefixStore(f"translate/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def _beat(rank: int, stop: threading.Event) -> None:
    """Signs of life until `stop`, through a connection of its own: calls through one wait for each other."""
    store = _meeting_place(-1, lambda line: None)
    with suppress(RuntimeError):  # the place has gone, and with it those that would read
        while store is not None:
            store.add(f"beat {rank}", 1)
            if stop.wait(_BEAT):
                return


def _wait_for_all(store: dist.Store, rank: int, size: int, log: Callable[[str], None]) -> None:
    others = {other: (0, time.monotonic()) for other in range(size) if other != rank}
    waiting_since = time.monotonic()
    with suppress(RuntimeError):  # the place has gone: so have the others
        store.add(f"ended {rank}", 1)
        while others:
            others = {other: seen for other, seen in others.items() if not store.add(f"ended {other}", 0)}
            for other, (beats, since) in list(others.items()):
                now = store.add(f"beat {other}", 0)
                if now != beats:
                    others[other] = now, time.monotonic()
                elif time.monotonic() - since > LIMIT:
                    log(f"warning: process {other} does not respond; not waiting for it any longer")
                    del others[other]
            if others and time.monotonic() - waiting_since > _BEAT:
                log(f"process {rank} has done its part and waits for {len(others)} others")
                waiting_since = float("inf")
            time.sleep(_POLL)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
