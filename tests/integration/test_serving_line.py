"""`translate serve` while it is busy: limits, who waits, who has left, what fails, and how it stops."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from patience import PATIENCE
from PIL import Image
from serving import FORM, PNG, Answer, Client, form, noise, running, saved
from ways_out import User, taken, tried, ways_of

from translate.serving import app
from translate.serving.refusal import Gone
from translate.serving.server import Server
from translate.serving.wishes import Wish


@pytest.fixture(scope="module")
def cyclegan(trained_once: Callable[[str], Path]) -> Path:
    return trained_once("cyclegan") / "run-cyclegan"


@pytest.fixture(scope="module")
def server(cyclegan: Path) -> Iterator[Server]:
    with running([cyclegan], max_bytes=400_000, waiting=2) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server.link)


class Slow:
    """In the worker's place: works until it is let go, and notes for whom."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[str] = []
        self.let_go, self.under_way = threading.Event(), threading.Event()
        self._real = app.translate
        monkeypatch.setattr(app, "translate", self)

    def __call__(self, shelf, wish, upload, name, max_pixels, given_up):
        self.begun.append(name)
        self.under_way.set()
        assert self.let_go.wait(PATIENCE)
        return self._real(shelf, wish, upload, name, max_pixels, given_up)


@pytest.fixture
def slow(monkeypatch) -> Iterator[Slow]:
    worker = Slow(monkeypatch)
    yield worker
    worker.let_go.set()


class Sending:
    """A picture that is sent while others are under way."""

    def __init__(self, client: Client, name: str, image: bytes = PNG) -> None:
        self.answer: Answer | None = None
        self._thread = threading.Thread(target=self._send, args=(client, name, image))
        self._thread.start()

    def _send(self, client: Client, name: str, image: bytes) -> None:
        self.answer = client.convert(image, name, to="B", size="native")

    def result(self) -> Answer:
        self._thread.join(PATIENCE)
        assert self.answer is not None
        return self.answer


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def leave(client: Client, name: str) -> socket.socket:
    """Sends a picture, and gives the connection, to be closed before the answer."""
    body, address = form(PNG, name, to="B"), client.connection()
    connection = socket.create_connection((address.host, address.port))
    head = f"POST /api/convert HTTP/1.1\r\nHost: {address.host}\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}"
    connection.sendall(f"{head}\r\n\r\n".encode() + body)
    return connection


def test_a_file_that_is_too_large_is_refused_before_it_is_stored(client, monkeypatch) -> None:
    monkeypatch.setattr(app, "translate", None)
    large = form(bytes(900_000))
    assert client.send(large).error == "the file is larger than 400,000 bytes, the most that is taken here"
    pieces = (large[start : start + 4096] for start in range(0, len(large), 4096))
    assert client.send(pieces).status == 413, "though it did not say how long it is"


@pytest.mark.parametrize(
    ("error", "status"),
    [(MemoryError(), 413), (ZeroDivisionError("/secret"), 500), (OSError(28, "No space left", "/secret"), 503)],
)
def test_a_picture_that_fails_stops_nothing(client, monkeypatch, capsys, error, status) -> None:
    def fail(*given: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("translate.inference.converter.Converter.convert_pictures", fail)
        answer = client.convert(PNG, to="B")
    assert answer.status == status and "secret" not in answer.error
    assert status == 413 or "secret" in capsys.readouterr().err
    assert client.convert(PNG, to="B").status == 200


def test_a_full_disk_is_said(client, monkeypatch, capsys) -> None:
    """Where uploads, or the files of a translation, cannot be stored."""

    def full(*given: object, **options: object) -> None:
        raise OSError(28, "No space left on device", "/secret")

    for place in ("translate.serving.translating.TemporaryDirectory", "starlette.formparsers.SpooledTemporaryFile"):
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            answer = client.convert(PNG, to="B")
        assert answer.status == 503 and "store" in answer.error and "secret" in capsys.readouterr().err
    assert client.metric('translate_answers_total{status="503"}') >= 2 and client.convert(PNG, to="B").status == 200


def test_so_many_wait_and_others_are_asked_to_come_back(client, server, slow) -> None:
    sent = [Sending(client, f"{number}.png") for number in range(3)]
    until(lambda: server.service.line.places == 3)
    refused = client.convert(PNG, to="B")
    assert refused.status == 429 and int(refused.headers["Retry-After"]) > 0
    assert refused.error == "3 pictures are in line already; send this one again in a moment"
    assert client.metric("translate_line") == 3 and client.get("/health").json == {"status": "ok"}
    slow.let_go.set()
    assert [one.result().status for one in sent] == [200] * 3
    assert client.convert(PNG, to="B").status == 200 and client.metric("translate_line") == 0


def test_who_has_left_is_not_waited_for(client, server, slow) -> None:
    before = client.metric('translate_answers_total{status="499"}')
    first = leave(client, "under way.png")
    assert slow.under_way.wait(PATIENCE)
    waiting = leave(client, "waiting.png")
    until(lambda: server.service.line.places == 2)
    first.close(), waiting.close()
    until(lambda: server.service.line.places == 0)
    slow.let_go.set()
    assert client.convert(PNG, "next.png", to="B").status == 200
    assert slow.begun == ["under way.png", "next.png"]
    assert client.metric('translate_answers_total{status="499"}') == before + 2


def test_work_for_nobody_ends_between_its_stages(server, monkeypatch, capsys) -> None:
    """The picture is not translated when its client has left before; nor is it a fault that its upload is closed."""
    monkeypatch.setattr("translate.inference.converter.Converter.convert_pictures", None)
    with pytest.raises(Gone):
        app.translate(server.service.shelf, Wish(to=("B",)), io.BytesIO(PNG), "a.png", 10_000, lambda: True)
    closed = io.BytesIO(PNG)
    closed.close()
    with pytest.raises(Gone):
        app.translate(server.service.shelf, Wish(to=("B",)), closed, "a.png", 10_000, lambda: True)
    assert capsys.readouterr().err == ""


def test_time_is_limited(cyclegan, slow) -> None:
    with running([cyclegan], timeout=1) as started:
        client = Client(started.link)
        late = client.convert(PNG, to="B")
        assert late.status == 503 and late.error == "the picture was not done within 1 seconds"
        connection = client.connection()
        connection.putrequest("POST", "/api/convert")
        connection.putheader("Content-Type", FORM)
        connection.putheader("Content-Length", "100000")
        connection.endheaders(form(PNG)[:200])
        answer = connection.getresponse()
        assert answer.status == 408 and b"did not arrive within 1 seconds" in answer.read()
        slow.let_go.set()
        until(lambda: client.convert(PNG, to="B").status == 200)


def test_when_it_stops_what_is_under_way_is_finished_and_the_rest_refused(cyclegan, slow) -> None:
    with running([cyclegan]) as started:
        client = Client(started.link)
        first = Sending(client, "first.png")
        assert slow.under_way.wait(PATIENCE)
        others = [Sending(client, f"{number}.png") for number in range(3)]
        halfway = client.connection()
        halfway.putrequest("POST", "/api/convert")
        halfway.putheader("Content-Type", FORM)
        halfway.putheader("Content-Length", "100000")
        halfway.endheaders(form(PNG)[:200])
        until(lambda: started.service.line.places == 5)
        started.should_exit = True
        for answer in [one.result() for one in others]:
            assert answer.status == 503 and answer.error == "the server is stopping and takes no more pictures"
        assert halfway.getresponse().status == 503
        slow.let_go.set()
        assert first.result().status == 200
    with pytest.raises(OSError):
        client.get("/health")
    assert slow.begun == ["first.png"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a terminal of Unix")
def test_ctrl_c_in_a_terminal_ends_when_the_picture_under_way_is_done(cyclegan) -> None:
    """Without a traceback, with exit code 0, although a browser still holds a connection."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the suite runs in the background
        words = ["serve", str(cyclegan), "--port", "0", "--device", "cpu"]
        os.execv(sys.executable, [sys.executable, "-m", "translate", *words])
    said = b""
    try:
        while b"Ctrl-C stops" not in said:
            said += os.read(terminal, 4096)
        client = Client(taken(said.decode(), r"(http://127\.0\.0\.1:\d+/)"))
        browser = client.connection()
        browser.request("GET", "/health")
        browser.getresponse().read()
        sending = Sending(client, "large.png", saved(Image.fromarray(noise(900, 900, 3)), "PNG"))
        until(lambda: client.metric("translate_line") == 1 or sending.answer is not None)
        os.write(terminal, b"\x03")
        assert sending.result().status == 200
        with suppress(OSError):  # as a terminal says that nobody writes to it any more
            while piece := os.read(terminal, 4096):
                said += piece
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
    assert code == 0, said
    assert b"stopped; 1 picture was translated" in said and b"Traceback" not in said and b"rror" not in said


def test_metrics_count_answers_and_seconds(client) -> None:
    before = {
        name: client.metric(name) for name in ("translate_seconds_count", 'translate_answers_total{status="415"}')
    }
    client.convert(PNG, to="B"), client.convert(b"no picture")
    assert {name: client.metric(name) - value for name, value in before.items()} == dict.fromkeys(before, 1)
    text = client.get("/metrics").body.decode()
    assert re.search(r'^translate_seconds_bucket\{le="\+Inf"\} \d+$', text, re.MULTILINE)
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in names} == set(
        re.findall("^# TYPE (\\w+)", text, re.MULTILINE)
    )


def test_the_command_says_which_extra_is_missing(user: User, monkeypatch) -> None:
    user.run("cyclegan")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'image-translate[serve]'" in user.refused("serve", "run-cyclegan")


def test_what_cannot_be_served_is_said_before_anybody_asks(user: User) -> None:
    user.run("gan")
    assert "generates images from noise" in user.refused("serve", "run-gan", "--port", 0)
    assert "no such run" in user.refused("serve", "nowhere", "--port", 0)


@tried(("serving/server", "--port 0 takes a port that is free"))
def a_port_that_is_taken(user: User) -> None:
    user.run("cyclegan")
    user.monkeypatch.setattr(Server, "run_until", lambda server, asked: None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = user.refused("serve", "run-cyclegan", "--port", other.getsockname()[1])
        again = user.gets("serve", "run-cyclegan", *taken(said, "(--port 0)").split())
    assert re.search(r"^http://127\.0\.0\.1:\d+/$", again, re.MULTILINE)


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
