"""Downloading and unpacking, against a server on this machine and archives that mean harm."""

from __future__ import annotations

import hashlib
import io
import re
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from translate.data.catalog import fetch as fetch_module
from translate.data.catalog import unpack as unpack_module
from translate.data.catalog.cards import Card, cards
from translate.data.catalog.fetch import fetch
from translate.data.layouts.folders import open_folder
from translate.errors import ConfigurationError, TranslateError
from translate.utils.atomic_files import held, hidden_folder

Files = dict[str, bytes]


def png(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


FILES: Files = {
    f"horse2zebra/{split}{domain}/{number}{domain}.png": png(number)
    for split in ("train", "test")
    for domain in "AB"
    for number in range(3)
}


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: Files, *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return buffer.getvalue()


class Server:
    """Serves `files`; breaks off after `limit` bytes of an answer; ignores ranges where `ranges` is false."""

    def __init__(self) -> None:
        self.files: Files = {}
        self.limit: int | None = None
        self.ranges = True
        self.asked: list[str | None] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/{name}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                server.asked.append(asked)
                data = server.files.get(self.path.lstrip("/"))
                if data is None:
                    self.send_error(404)
                    return
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
                if start >= len(data):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(data)}")
                    self.end_headers()
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                end = None if server.limit is None else start + server.limit
                self.wfile.write(data[start:end])

            def log_message(self, *arguments: object) -> None:
                """Tests print nothing."""

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def card_for(url: str, data: bytes | None, *mirrors: str) -> Card:
    known = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} if data else {}
    fields = {"url": url, "mirrors": mirrors, "sha256": None, "bytes": None, **known}
    return cards()["horse2zebra"].model_copy(update=fields)


def quiet(done: int, total: int | None) -> None:
    """Progress that nobody watches."""


@pytest.mark.parametrize(("name", "pack"), [("set.zip", zipped), ("set.tar.gz", tarred)])
def test_a_set_is_downloaded_verified_and_unpacked(
    server: Server, tmp_path: Path, name: str, pack: Callable[[Files], bytes]
) -> None:
    others = {
        "horse2zebra/readme.txt": b"words",
        "__MACOSX/trainA/._1.png": b"x",
        "horse2zebra/.hidden.png": b"x",
    }
    server.files[name] = data = pack({**FILES, **others})
    steps: list[tuple[int, int | None]] = []
    card = card_for(server.url(name), data)
    folder = fetch(card, tmp_path / "cache" / "horse2zebra", lambda done, total: steps.append((done, total)))
    assert folder == tmp_path / "cache" / "horse2zebra"
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found.pop("dataset.yaml")
    assert found == {name.removeprefix("horse2zebra/"): data for name, data in FILES.items()}
    assert [path.name for path in folder.parent.iterdir()] == ["horse2zebra"]
    assert steps[0] == (0, len(data)) and steps[-1] == (len(data), len(data))
    opened = open_folder(folder, wanted="unpaired")
    assert opened.domains == ("horse", "zebra") and opened.warnings == ()
    with pytest.raises(ConfigurationError, match="exists"):
        fetch(card, folder, quiet)


def test_what_a_process_left_that_was_killed_once_the_set_was_there_goes(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = data = zipped(FILES)
    card = card_for(server.url("set.zip"), data)
    fetch(card, tmp_path / "set", quiet)
    part = tmp_path / "set.zip.part"
    part.write_bytes(data)
    with held(part), pytest.raises(ConfigurationError, match="exists"):
        fetch(card, tmp_path / "set", quiet)
    assert part.read_bytes() == data, "another process fetches the set elsewhere"
    with hidden_folder(tmp_path / "set") as left:
        name = left.name
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigurationError, match="exists"):
        fetch(card, tmp_path / "set", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_an_interrupted_download_is_continued(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = data = zipped(FILES)
    server.limit = len(data) // 2 + 1
    fetch(card_for(server.url("set.zip"), data), tmp_path / "set", quiet)
    assert server.asked == [None, f"bytes={server.limit}-"]


def test_the_next_call_continues_too(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = data = zipped(FILES)
    server.limit = 100
    with pytest.raises(ConfigurationError, match=r"broke off at \d+ of"):
        fetch(card_for(server.url("set.zip"), data), tmp_path / "set", quiet)
    assert (tmp_path / "set.zip.part").read_bytes() == data[: 100 * fetch_module.ATTEMPTS]
    server.limit = None
    fetch(card_for(server.url("set.zip"), data), tmp_path / "set", quiet)
    assert server.asked[-1] == f"bytes={100 * fetch_module.ATTEMPTS}-"
    assert not (tmp_path / "set.zip.part").exists()


def test_a_server_without_ranges_begins_anew(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = data = zipped(FILES)
    server.ranges = False
    (tmp_path / "set.zip.part").write_bytes(b"x" * 50)
    fetch(card_for(server.url("set.zip"), data), tmp_path / "set", quiet)
    assert (tmp_path / "set" / "trainA").is_dir()


@pytest.mark.parametrize("known", [True, False])
def test_a_complete_part_is_used_and_a_foreign_one_is_not(server: Server, tmp_path: Path, known: bool) -> None:
    server.files["set.zip"] = data = zipped(FILES)
    card = card_for(server.url("set.zip"), data if known else None)
    (tmp_path / "set.zip.part").write_bytes(data)
    fetch(card, tmp_path / "set", quiet, say=lambda line: None)
    assert server.asked == ([] if known else [f"bytes={len(data)}-"])
    (tmp_path / "set.zip.part").write_bytes(data + b"more")
    fetch(card, tmp_path / "again", quiet, say=lambda line: None)
    assert (tmp_path / "again" / "trainA").is_dir()


def test_another_archive_than_the_published_one_is_removed(server: Server, tmp_path: Path) -> None:
    data = zipped(FILES)
    changed = bytearray(data)
    changed[200] ^= 1
    server.files["set.zip"] = bytes(changed)
    with pytest.raises(TranslateError, match="not the published archive: its SHA-256 is"):
        fetch(card_for(server.url("set.zip"), data), tmp_path / "set", quiet)
    assert list(tmp_path.iterdir()) == []


def test_an_unpublished_checksum_is_told(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = data = zipped(FILES)
    lines: list[str] = []
    fetch(card_for(server.url("set.zip"), None), tmp_path / "set", quiet, say=lines.append)
    assert len(lines) == 1 and hashlib.sha256(data).hexdigest() in lines[0] and "not verified" in lines[0]


def test_mirrors_are_tried_in_order(server: Server, tmp_path: Path) -> None:
    server.files["mirror.zip"] = data = zipped(FILES)
    server.files["short.zip"] = data[:-1]
    card = card_for(server.url("gone.zip"), data, server.url("short.zip"), server.url("mirror.zip"))
    assert (fetch(card, tmp_path / "set", quiet) / "trainA").is_dir()
    assert len(server.asked) == 3


def test_without_a_network_it_is_told_how_to_do_it_by_hand(server: Server, tmp_path: Path) -> None:
    server.close()
    url = server.url("set.zip")
    with pytest.raises(ConfigurationError, match="refused") as caught:
        fetch(card_for(url, zipped(FILES)), tmp_path / "new" / "set", quiet)
    assert f"fetch {url} where there is a network" in str(caught.value)
    assert str(tmp_path / "new" / "set") in str(caught.value)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def linked_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("trainA/link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


BAD = png(9)
HARMFUL = {
    "parent.zip": (zipped({**FILES, "../out.png": BAD}), "would be written outside"),
    "deep parent.zip": (zipped({**FILES, "trainA/../../out.png": BAD}), "would be written outside"),
    "absolute.zip": (zipped({**FILES, "/tmp/translate-out.png": BAD}), "would be written outside"),
    "drive.zip": (zipped({**FILES, "C:out.png": BAD}), "would be written outside"),
    "backslash.tar.gz": (tarred({**FILES, "..\\out.png": BAD}), "would be written outside"),
    "parent.tar.gz": (tarred({**FILES, "../out.png": BAD}), "would be written outside"),
    "absolute.tar.gz": (tarred({**FILES, "/tmp/translate-out.png": BAD}), "would be written outside"),
    "link.zip": (linked_zip(), "is a link or device"),
    "link.tar.gz": (
        tarred(FILES, special("trainA/l.png", tarfile.SYMTYPE, "/etc/passwd")),
        "is a link or device",
    ),
    "hard.tar.gz": (
        tarred(FILES, special("trainA/l.png", tarfile.LNKTYPE, "../x.png")),
        "is a link or device",
    ),
    "device.tar.gz": (tarred(FILES, special("trainA/null.png", tarfile.CHRTYPE)), "is a link or device"),
    "pipe.tar.gz": (tarred(FILES, special("trainA/pipe.png", tarfile.FIFOTYPE)), "is a link or device"),
    "twice.tar.gz": (tarred({**FILES, "./horse2zebra/trainA/0A.png": BAD}), "twice"),
    "words.zip": (zipped({"a.txt": b"words"}), "no images in it"),
    "cut.tar.gz": (tarred(FILES)[:2000], "damaged archive"),
    "page.zip": (b"<html>not found</html>", "damaged archive"),
}


@pytest.mark.parametrize("name", HARMFUL)
def test_a_harmful_archive_leaves_nothing_behind(server: Server, tmp_path: Path, name: str) -> None:
    data, message = HARMFUL[name]
    address = re.sub(r"\W", "_", name)
    server.files[address] = data
    home = tmp_path / "a" / "b"
    Path("/tmp/translate-out.png").unlink(missing_ok=True)  # where the absolute names point to
    with pytest.raises(TranslateError, match=message):
        fetch(card_for(server.url(address), data), home / "set", quiet)
    assert list(home.iterdir()) == [] and [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert not Path("/tmp/translate-out.png").exists()


def test_what_unpacks_to_far_too_much_is_stopped(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"trainA/{number}.png", bytes(10_000_000))
    server.files["bomb.zip"] = data = buffer.getvalue()
    card = card_for(server.url("bomb.zip"), data)
    with pytest.raises(TranslateError, match="far more than images would"):
        fetch(card, tmp_path / "set", quiet)
    server.files["many.zip"] = data = zipped(FILES)
    monkeypatch.setattr(unpack_module, "MAX_IMAGES", 5)
    with pytest.raises(TranslateError, match="more than 5 images"):
        fetch(card_for(server.url("many.zip"), data), tmp_path / "set", quiet)
    assert not (tmp_path / "set").exists()


def test_a_folder_that_cannot_be_written_is_said(server: Server, tmp_path: Path) -> None:
    server.files["set.zip"] = data = zipped(FILES)
    (tmp_path / "file").touch()
    with pytest.raises(TranslateError, match="cannot be stored"):
        fetch(card_for(server.url("set.zip"), data), tmp_path / "file" / "set", quiet)


def test_a_set_without_an_archive_is_told_how_to_get_by_hand(tmp_path: Path) -> None:
    for name, message in (
        ("celeba", r"celeba: no archive of it to fetch and unpack\. By hand, into .*/new: from https://mmlab"),
        ("mnist2usps", "mnist2usps: made of the sets mnist and usps; nothing else to fetch"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            fetch(cards()[name], tmp_path / "new", lambda done, total: None)
    assert not list(tmp_path.iterdir())
