"""Processes that share a folder leave together, so that a launcher ends none that is still at work."""

import socket
import sys
import threading
import time

import pytest
from patience import PATIENCE
from torch.distributed import TCPStore

from translate.utils import barrier
from translate.utils.barrier import leaving_together


@pytest.fixture
def meeting(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": "0"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT", raising=False)
    return port


def test_a_process_of_its_own_waits_for_nobody(monkeypatch):
    for name in ("MASTER_ADDR", "WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    with leaving_together():
        pass


@pytest.mark.parametrize("code", [0, 3])
def test_a_process_that_failed_waits_for_one_that_works(meeting, code):
    order = []

    def other():
        store = TCPStore("127.0.0.1", meeting, is_master=False, wait_for_workers=False)
        time.sleep(0.5)
        order.append("other")
        store.add("translate/0/ended 1", 1)

    working = threading.Thread(target=other)
    try:
        with leaving_together():
            working.start()
            if code:
                sys.exit(code)
    except SystemExit as leaving:
        assert leaving.code == code
    order.append("this")
    working.join()
    assert order == ["other", "this"]


def test_one_that_has_died_is_not_waited_for(meeting, monkeypatch):
    monkeypatch.setattr(barrier, "LIMIT", 0.3)
    monkeypatch.setattr(barrier, "_BEAT", PATIENCE)  # after which it would also say that it waits
    told = []
    with leaving_together(told.append):
        pass
    assert told == ["warning: process 1 does not respond; not waiting for it any longer"]


def test_an_interrupted_process_waits_for_nobody(meeting):
    with pytest.raises(KeyboardInterrupt), leaving_together():
        raise KeyboardInterrupt


def test_where_nobody_meets_the_work_is_done_all_the_same(meeting, monkeypatch):
    from datetime import timedelta

    monkeypatch.setattr(barrier, "_CONNECTING", timedelta(seconds=1))
    monkeypatch.setenv("RANK", "1")
    told = []
    with leaving_together(told.append):
        pass
    assert len(told) == 1 and "does not find the others" in told[0]
