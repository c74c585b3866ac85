"""Uploads that no honest client sends: each gets one clear answer, the server goes on, and nothing appears on disk."""

from __future__ import annotations

import io
import signal
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from child import Workplace, finished
from mutants import saved
from patience import PATIENCE
from PIL import Image
from serving import Answer, Client, form, part, running
from test_image_bombs import bombs, of_many_scans, tiff

from translate.serving.server import Server

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
PNG = saved(PHOTO, "PNG")


@cache
def cut() -> dict[str, bytes]:
    """Intact files that end too early."""
    files = {format: saved(PHOTO, format) for format in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")}
    return {
        f"{format} of {share} %": data[: len(data) * share // 100]
        for format, data in files.items()
        for share in (2, 60)
    }


@cache
def wrong() -> dict[str, bytes]:
    """Files of other types, whatever they are called."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../etc/cron.d/x", "x")
    return {
        "text": b"hello" * 99,
        "html": b"<!doctype html><script>alert(1)</script>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file\n",
        "pdf": b"%PDF-1.7\n" + bytes(999),
        "zip": packed.getvalue(),
        "pickle": b"\x80\x04cos\nsystem\n(S'touch hacked'\ntR.",
        "elf": b"\x7fELF" + bytes(999),
        "mp4": b"\0\0\0 ftypisom" + bytes(999),
        "zeros": bytes(9999),
        "one byte": b"\xff",
        "noise": np.random.default_rng(1).bytes(9999),
        "head of a PNG alone": b"\x89PNG\r\n\x1a\n",
        "scans": of_many_scans(120),
        "wide": saved(Image.new("1", (65_000, 9_000)), "PNG"),
    }


@cache
def named() -> dict[str, bytes]:
    """Intact pictures under names that should harm nobody."""
    return {
        "../../../../etc/passwd": PNG,
        "/etc/cron.d/x.png": PNG,
        "C:\\windows\\system32\\x.png": PNG,
        "x" * 3000 + ".png": PNG,
        "~/.ssh/authorized_keys": PNG,
        "nul\0byte.png": PNG,
        "\u202egnp.exe": PNG,
        "$(touch hacked).png": PNG,
        "a%0d%0aSet-Cookie: x=1.png": PNG,
        "": PNG,
    }


FORMS = {
    "name of 10,000 letters": form(PNG, "x" * 10_000 + ".png"),
    "header without an end": part("image", PNG, "a.png").replace(b"\r\n\r\n", b"\r\n" + b"x: y\r\n" * 9999, 1),
    "thousand files": b"".join(part("image", PNG, f"{n}.png") for n in range(1000)) + form(PNG),
    "thousand fields": b"".join(part(f"field{n}", "x") for n in range(1000)) + form(PNG),
    "endless field": part("to", "x" * 300_000) + form(PNG),
    "no name": part("image", PNG, "a.png").replace(b'name="image"; ', b"") + form(PNG),
    "ended twice": form(PNG) + form(PNG, size="0"),
    "quotes": form(PNG, 'a"; name="to'),
    "nothing": b"",
}


@pytest.fixture(scope="module")
def server(trained_once: Callable[[str], Path]) -> Iterator[Server]:
    with running([trained_once("pix2pix") / "run-pix2pix"], max_pixels=10_000_000) as started:
        yield started


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work is done in a folder for temporary files, and none of it is left there or here."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    yield
    assert list(temporary.iterdir()) == []
    assert not {path.name for path in tmp_path.iterdir()} & {"hacked", "passwd", "x.png", "picture"}


def still_serves(client: Client) -> bool:
    answer = client.convert(PNG)
    return answer.status == 200 and Image.open(io.BytesIO(answer.body)).size == (32, 32)


def test_there_are_fifty_and_more() -> None:
    assert len(bombs()) + len(cut()) + len(wrong()) + len(named()) + len(FORMS) > 60


@pytest.mark.parametrize("name", [*bombs(), *cut(), *wrong()])
def test_a_bad_file_gets_one_clear_answer(server: Server, name: str) -> None:
    data = bombs()[name][0] if name in bombs() else cut().get(name) or wrong()[name]
    client = Client(server.link)
    answer = client.convert(data, f"{name}.png")
    assert answer.status in (413, 415, 422), answer.body
    assert "/" not in answer.error.replace("PNG, JPEG", ""), "no place on the server is named"
    assert still_serves(client)


@pytest.mark.parametrize("name", named(), ids=lambda name: ascii(name[:30]))
def test_a_name_is_no_more_than_a_name(server: Server, name: str) -> None:
    client = Client(server.link)
    answer = client.convert(named()[name], name)
    assert answer.status == 200, answer.body
    said = answer.headers["Content-Disposition"]
    assert "Set-Cookie" not in answer.headers and len(said) < 1000
    assert not set("/\\\0\n") & set(said.partition("filename=")[2].partition(";")[0])
    assert still_serves(client)


def test_what_a_file_says_becomes_no_header(server: Server) -> None:
    """Nor does its value for "no data", which stays in the file."""
    told = tiff(bytes(25), (42113, 2, 40, 600)).ljust(600, b"\0") + b"7\r\nSet-Cookie: x=1\r\n".ljust(40)
    answer = Client(server.link).convert(told, "a.tif")
    assert answer.status == 200, answer.body
    assert "Set-Cookie" not in answer.headers and "x=1" not in " ".join(answer.headers.values())


@pytest.mark.parametrize("name", FORMS)
def test_a_strange_form_gets_one_clear_answer(server: Server, name: str) -> None:
    client = Client(server.link)
    answer = client.send(FORMS[name])
    assert answer.status in (200, 400, 413), answer.body
    if answer.status != 200:
        assert answer.error
    assert still_serves(client)


SLOWLY = """
    import pathlib, time
    from translate.inference.converter import Converter
    real = Converter.convert_pictures
    def slowly(*given, **options):
        pathlib.Path("begun").touch()
        while not pathlib.Path("go on").exists():
            time.sleep(0.01)
        return real(*given, **options)
    Converter.convert_pictures = slowly
"""


def test_sigterm_ends_with_the_picture_under_way(tmp_path: Path, trained_once: Callable[[str], Path]) -> None:
    """In the real command: one picture is being translated, three wait; exit code 0, and no traceback."""
    work = Workplace(tmp_path, tmp_path / "home")
    run = trained_once("pix2pix") / "run-pix2pix"
    process = work.start("serve", run, "--port", 0, "--device", "cpu", hook=SLOWLY)
    link = process.stdout.readline().strip()
    assert link.startswith("http://127.0.0.1:"), finished(process)
    answers: list[Answer] = []
    client = Client(link)

    def send() -> None:
        answers.append(client.convert(PNG))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: (tmp_path / "begun").exists() and client.metric("translate_line") == 4)
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: len(answers) == 3)
    assert [answer.status for answer in answers] == [503] * 3
    assert {answer.error for answer in answers} == {"the server is stopping and takes no more pictures"}
    (tmp_path / "go on").touch()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers[3].status == 200 and Image.open(io.BytesIO(answers[3].body)).size == (32, 32)
    ended = finished(process)
    assert ended.code == 0 and "Traceback" not in ended.err, ended.err
    assert "stopped; 1 picture was translated" in ended.err


def wait_for(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(int(PATIENCE * 100)):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it never came")
