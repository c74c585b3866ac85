"""A real server in a thread of the tests, on a free port, and a client that sends what no browser would."""

from __future__ import annotations

import http.client
import io
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import tiny
import yaml
from patience import PATIENCE
from PIL import Image

import translate

BOUNDARY = "----boundary-of-tests"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


PHOTO = Image.fromarray(noise(24, 40, 3))
PNG = saved(PHOTO, "PNG")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one sentence of a refusal, and nothing else."""
        assert self.headers.get_content_type() == "application/json", (self.status, self.body[:200])
        assert self.json.keys() == {"error"}
        sentence = self.json["error"]
        assert sentence and "\n" not in sentence and len(sentence) < 400, sentence
        return sentence


def part(name: str, body: bytes | str, filename: str | None = None) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    file = b"" if filename is None else b'; filename="' + filename.encode() + b'"'
    head = b'Content-Disposition: form-data; name="' + name.encode() + b'"' + file
    return b"--" + BOUNDARY.encode() + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def form(image: bytes | None, name: str = "picture.png", **fields: str | Sequence[str]) -> bytes:
    """A form with a picture and fields, several of one name where a list is given."""
    each = [(key, one) for key, given in fields.items() for one in ([given] if isinstance(given, str) else given)]
    parts = [part(key, one) for key, one in each] + ([] if image is None else [part("image", image, name)])
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True)
class Client:
    link: str

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.link).netloc, timeout=PATIENCE)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection = self.connection()
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def send(self, body: Any, kind: str = FORM, query: dict[str, str] | None = None, **headers: str) -> Answer:
        path = "/api/convert" + (f"?{urlencode(query)}" if query else "")
        return self.ask("POST", path, body, {"Content-Type": kind, **headers})

    def convert(self, image: bytes, name: str = "picture.png", **fields: str | Sequence[str]) -> Answer:
        return self.send(form(image, name, **fields))

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@contextmanager
def running(runs: Sequence[Path], **options: Any) -> Iterator[Any]:
    """A server of these runs; `.link` is where."""
    from translate.inference.options import ModelOptions
    from translate.serving.options import ServingOptions
    from translate.serving.server import server_for

    model = ModelOptions(device="cpu", precision="float32")
    yield from _in_a_thread(server_for(runs, model, ServingOptions(port=0, **options)))


@contextmanager
def watched(*places: Path, **options: Any) -> Iterator[Any]:
    """A server that shows the runs at these places; `.link` is where."""
    from translate.serving.options import WatchingOptions
    from translate.serving.server import watch_for

    yield from _in_a_thread(watch_for(places, WatchingOptions(**{"port": 0} | options)))


def _in_a_thread(server: Any) -> Iterator[Any]:
    stop = threading.Event()
    thread = threading.Thread(target=server.run_until, args=(stop.is_set,))
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        thread.join()


def train(root: Path, name: str, model: str, data: str, *changes: str) -> Path:
    """A tiny run at root/NAME, of the data at root/DATA."""
    recipe = {"model": tiny.TINY[model], "data": tiny.TINY_DATA, "training": tiny.TINY_TRAINING}
    (root / f"{model}.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(recipe))))
    return translate.train(
        root / f"{model}.yaml", root / data, out=root / name, overrides=changes, tracking="disabled", device="cpu",
        quiet=True,
    )  # fmt: skip


def attribute_run(root: Path) -> Path:
    """A tiny run, root/people, that sets and clears the attributes Blond and Male."""
    tiny.write_images(root / "faces", [f"{number}.png" for number in range(8)])
    rows = [f"{number}.png {1 - 2 * (number % 2)} {1 if number < 4 else -1}" for number in range(8)]
    (root / "faces" / "list_attr.txt").write_text("\n".join(["8", "Blond Male", *rows]) + "\n")
    return train(root, "people", "stargan", "faces", 'data.domains=["Blond","Male"]')
