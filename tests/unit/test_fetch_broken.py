"""`data fetch` beside servers that are broken in every way: the next mirror is taken, nothing waits for ever."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from patience import PATIENCE
from test_fetch import FILES, Server, card_for, quiet, zipped

from translate.data.catalog import download
from translate.data.catalog import fetch as fetch_module
from translate.data.catalog.fetch import fetch
from translate.errors import ConfigurationError
from translate.utils.atomic_files import held

DATA = zipped(FILES)
PAGE = b"<html>Please log in</html>"
OTHER = bytes(reversed(DATA))
Answer = Callable[[socket.socket, "Raw"], None]


class Raw:
    """A server that answers each connection, whatever is asked, by `answer(connection, server)`."""

    def __init__(self, answer: Answer) -> None:
        self.over, self.asked = threading.Event(), 0
        self._answer, self._connections = answer, []
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/set.zip"

    def close(self) -> None:
        self.over.set()
        for one in (self._listening, *self._connections):
            one.close()

    def drip(self, connection: socket.socket, what: bytes) -> None:
        """Sends `what` again and again, slowly, as long as somebody listens."""
        while not self.over.wait(0.02):
            connection.sendall(what)

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._listening.accept()
                self._connections.append(connection)
                self.asked += 1
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()
        except OSError:  # closed
            return

    def _one(self, connection: socket.socket) -> None:
        try:
            connection.recv(65536)
            self._answer(connection, self)
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other side has gone
            return


@pytest.fixture
def raw() -> Iterator[Callable[[Answer], Raw]]:
    servers: list[Raw] = []

    def start(answer: Answer) -> Raw:
        servers.append(Raw(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def good() -> Iterator[Server]:
    server = Server()
    server.files["set.zip"] = DATA
    yield server
    server.close()


def says(*parts: bytes) -> Answer:
    return lambda connection, server: connection.sendall(b"".join(parts))


def ok(body: bytes, length: object = None, status: bytes = b"200 OK", *headers: bytes) -> Answer:
    length = len(body) if length is None else length
    lines = [b"HTTP/1.1 " + status, b"Content-Length: " + str(length).encode(), *headers]
    return says(b"\r\n".join(lines), b"\r\n\r\n", body)


def leads_to(place: bytes) -> Answer:
    return says(b"HTTP/1.1 302 Found\r\nLocation: ", place, b"\r\nContent-Length: 0\r\n\r\n")


BROKEN: dict[str, tuple[Answer, str]] = {
    "hangs up": (says(), "closed connection without response"),
    "hangs up in the status": (says(b"HTTP/1.1 20"), "HTTP/1.1 20"),
    "hangs up in the headers": (says(b"HTTP/1.1 200 OK\r\nContent-Le"), "has .* bytes|broke off"),
    "hangs up in the body": (ok(DATA[:50], len(DATA)), "broke off at"),
    "another protocol": (says(b"SSH-2.0-OpenSSH_9.9\r\n"), "SSH-2.0-OpenSSH_9.9"),
    "no status": (says(b"\r\n\r\n"), "BadStatusLine"),
    "a status that is no number": (says(b"HTTP/1.1 abc OK\r\n\r\n"), "abc"),
    "a status of five digits": (ok(DATA, None, b"20000 OK"), "20000"),
    "an error with control characters": (ok(b"", None, b"500 \x1b[31mred\x9b0m"), r"HTTP 500 \\x1b\[31mred\\x9b0m"),
    "an error without end": (ok(b"", None, b"500 " + 60_000 * b"x"), "HTTP 500 x{50,}"),
    "a header without end": (says(b"HTTP/1.1 200 OK\r\nX: ", 100_000 * b"x"), "header line"),
    "headers without end": (says(b"HTTP/1.1 200 OK\r\n", 300 * b"X: y\r\n"), "more than 100 headers"),
    "no content": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), "bytes where|broke off"),
    "shorter": (ok(DATA[:-1]), "bytes where"),
    "longer": (ok(DATA + b"more"), "bytes where"),
    "longer than it says": (says(b"HTTP/1.1 200 OK\r\n\r\n", DATA, 9 * b"more"), "more than it announced"),
    "a negative length": (ok(DATA[:9], -5), "broke off|bytes where"),
    "a length of 5000 digits": (ok(DATA[:9], "9" * 5000), "."),
    "a length in words": (ok(DATA[:9], "many"), "broke off"),
    "a bad chunk": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"), "."),
    "a cut chunk": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"), "."),
    "other content": (ok(OTHER), "not the published archive: its SHA-256"),
    "a part, unasked": (ok(DATA, None, b"206 Partial Content"), "a part that was not asked for"),
    "no range, unasked": (ok(b"", None, b"416 Range Not Satisfiable", b"Content-Range: bytes */5"), "HTTP 416"),
    "to a file": (leads_to(b"file:///etc/passwd"), "file:///etc/passwd"),
    "to FTP": (leads_to(b"ftp://127.0.0.1/set.zip"), "ftp"),
    "to data": (leads_to(b"data:text/plain,x"), "data:text"),
    "to nowhere": (leads_to(b""), "HTTP 302|302|loop"),
    "to no address": (leads_to(b"http://[::1/set.zip"), "IPv6"),
    "to no port": (leads_to(b"http://127.0.0.1:99999999/"), "."),
    "to letters": (leads_to(b"http://127.0.0.1:port/"), "port"),
    "to control characters": (leads_to(b"http://127.0.0.1/\x1b[31m\x7f"), "."),
    "in a circle": (leads_to(b"/set.zip"), "infinite loop"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_server_leads_to_the_next_mirror(
    raw: Callable[[Answer], Raw], good: Server, tmp_path: Path, kind: str
) -> None:
    answer, reason = BROKEN[kind]
    broken = raw(answer)
    folder = fetch(card_for(broken.url, DATA, good.url("set.zip")), tmp_path / "set", quiet)
    assert (folder / "trainA").is_dir() and broken.asked and good.asked
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    with pytest.raises(ConfigurationError, match=reason) as caught:
        fetch(card_for(broken.url, DATA, broken.url.replace("set.zip", "mirror")), tmp_path / "again", quiet)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 2500
    assert f"({broken.url}: " in message and f"{broken.url.replace('set.zip', 'mirror')}: " in message


def silent(connection: socket.socket, server: Raw) -> None:
    server.over.wait()


def drips(start: bytes, what: bytes = b"x") -> Answer:
    def answer(connection: socket.socket, server: Raw) -> None:
        connection.sendall(start)
        server.drip(connection, what)

    return answer


def floods(connection: socket.socket, server: Raw) -> None:
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n")
    while not server.over.is_set():
        connection.sendall(bytes(65536))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SLOW: dict[str, Answer] = {
    "silent": silent,
    "drips in a handshake": drips(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03", b"\0"),
    "drips in the status": drips(b""),
    "drips in a header": drips(b"HTTP/1.1 200 OK\r\nX: "),
    "asks to go on, for ever": drips(b"", 500 * b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drips in the body": drips(f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n".encode(), b"PK"),
    "drips in a chunk's length": drips(CHUNKED, b"0"),
    "drips in a body without length": drips(b"HTTP/1.1 200 OK\r\n\r\n"),
}


def test_a_server_that_brings_too_little_is_left_wherever_it_is_slow(
    raw: Callable[[Answer], Raw], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the call that waits. What came of the file stays for the next one."""
    monkeypatch.setattr(download, "WINDOW", 0.5)
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 1)
    servers = {kind: raw(answer) for kind, answer in SLOW.items()}
    urls = [server.url for server in servers.values()]
    urls[1] = urls[1].replace("http:", "https:")
    with pytest.raises(ConfigurationError) as caught:
        fetch(card_for(urls[0], DATA, *urls[1:]), tmp_path / "set", quiet)
    reasons = str(caught.value).partition("(")[2].partition("). By hand")[0].split("; ")
    assert len(reasons) == len(SLOW)
    for kind, url, reason in zip(servers, urls, reasons, strict=True):
        assert reason.startswith(f"{url}: "), kind
        assert "bytes in 0.5 seconds" in reason or "timed out" in reason, (kind, reason)
    assert not [thread.name for thread in threading.enumerate() if thread.name == "download"]


def test_the_body_of_a_redirection_is_not_read(
    raw: Callable[[Answer], Raw], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long: it would be kept in memory."""
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 1)
    server = raw(floods)
    with pytest.raises(ConfigurationError, match="infinite loop"):
        fetch(card_for(server.url, DATA), tmp_path / "set", quiet)
    assert server.asked > 2


def test_all_servers_together_have_so_much_time(
    raw: Callable[[Answer], Raw], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that goes on for ever, fast enough; then one that is not given any."""
    monkeypatch.setattr(fetch_module, "LONGEST", 0.5)
    endless = raw(drips(b"HTTP/1.1 200 OK\r\n\r\n", 10_000 * b"x"))
    card = card_for(endless.url, None, endless.url.replace("set.zip", "mirror"))
    begun = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"/set.zip: the time for all.*/mirror: the time for all"):
        fetch(card, tmp_path / "set", quiet, say=lambda line: None)
    assert time.monotonic() > begun + 0.5


def test_a_mirror_goes_on_after_one_that_is_too_slow(
    raw: Callable[[Answer], Raw], good: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = len(DATA) // 2
    start = f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n".encode() + DATA[:half]
    slow = raw(drips(start, b""))
    add_to = fetch_module.add_to

    def add_at_least_half(archive: Path, url: str, *others: object) -> None:
        """On a busy machine half may take more than a window to come; the good server has all the time it needs."""
        monkeypatch.setattr(download, "WINDOW", 0.5 if url == slow.url else PATIENCE)
        while True:
            try:
                return add_to(archive, url, *others)
            except download.Unreachable:
                if archive.stat().st_size == half:
                    raise

    monkeypatch.setattr(fetch_module, "add_to", add_at_least_half)
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 1)
    fetch(card_for(slow.url, DATA, good.url("set.zip")), tmp_path / "set", quiet)
    assert good.asked == [f"bytes={half}-"]


@pytest.mark.parametrize(
    "answer",
    [
        ok(DATA[:10], len(DATA)),  # cannot continue, and breaks off
        ok(b"", None, b"416 Range Not Satisfiable", b"Content-Range: bytes */7"),
        ok(b"", None, b"416 Range Not Satisfiable"),
        ok(DATA[5:], None, b"206 Partial Content", b"Content-Range: bytes 5-9/10"),
        says(b"HTTP/1.1 404 Not Found\r\n\r\n"),
    ],
)
def test_no_server_takes_away_what_was_downloaded(
    raw: Callable[[Answer], Raw], good: Server, tmp_path: Path, answer: Answer
) -> None:
    (tmp_path / "set.zip.part").write_bytes(DATA[:1000])
    with pytest.raises(ConfigurationError):
        fetch(card_for(raw(answer).url, DATA), tmp_path / "set", quiet)
    assert (tmp_path / "set.zip.part").read_bytes() == DATA[:1000]
    fetch(card_for(good.url("set.zip"), DATA), tmp_path / "set", quiet)
    assert good.asked == ["bytes=1000-"]


def test_a_beginning_of_another_file_costs_one_more_attempt(good: Server, tmp_path: Path) -> None:
    for ranges in (True, False):
        good.ranges = ranges
        (tmp_path / "set.zip.part").write_bytes(OTHER[:1000])
        fetch(card_for(good.url("set.zip"), DATA), tmp_path / f"set-{ranges}", quiet)
    assert good.asked == ["bytes=1000-", None, "bytes=1000-"]


def test_without_a_checksum_what_is_no_archive_leads_to_the_next_mirror(
    raw: Callable[[Answer], Raw], good: Server, tmp_path: Path
) -> None:
    bad = [raw(answer).url for answer in (ok(PAGE), ok(b""), ok(DATA[: len(DATA) // 2]), ok(zipped({"a.txt": b"a"})))]
    said: list[str] = []
    fetch(card_for(bad[0], None, *bad[1:], good.url("set.zip")), tmp_path / "set", quiet, said.append)
    assert (tmp_path / "set" / "trainA").is_dir() and hashlib.sha256(DATA).hexdigest() in said[-1]
    with pytest.raises(ConfigurationError) as caught:
        fetch(card_for(bad[0], None, *bad[1:]), tmp_path / "again", quiet, said.append)
    assert all(f"{url}: " in str(caught.value) for url in bad) and "no images in it" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_two_processes_do_not_write_one_archive(good: Server, tmp_path: Path) -> None:
    part = tmp_path / "set.zip.part"
    with held(part), pytest.raises(ConfigurationError, match="another process is fetching"):
        fetch(card_for(good.url("set.zip"), DATA), tmp_path / "set", quiet)
    assert part.exists() and not good.asked
