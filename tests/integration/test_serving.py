"""`translate serve`: what it answers is what `translate convert` writes; limits, tokens, and what it says it can do."""

from __future__ import annotations

import email
import io
import itertools
import json
import re
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.policy import HTTP
from pathlib import Path

import jsonschema
import label_files
import layer_files
import numpy as np
import pytest
import tifffile
from patience import PATIENCE
from PIL import Image
from serving import FORM, Answer, Client, attribute_run, form, part, running, train
from ways_out import User, taken, tried, ways_of

from translate.data.domain import Domain
from translate.data.label_maps import palette
from translate.inference.options import ModelOptions
from translate.serving import app, guard
from translate.serving.app import Service, application
from translate.serving.description import description
from translate.serving.guard import HEADERS
from translate.serving.names import TYPES, name_for
from translate.serving.options import ServingOptions
from translate.serving.refusal import Gone, Refusal
from translate.serving.server import Server
from translate.serving.shelf import Shelf
from translate.serving.wishes import FIELDS, Wish, wish_of


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


PHOTO = Image.fromarray(noise(24, 40, 3))
PNG = saved(PHOTO, "PNG")
EXIF = Image.Exif()
EXIF[274] = 6
FILES = {
    "plain.png": PNG,
    "photo.jpg": saved(PHOTO, "JPEG"),
    "turned.jpeg": saved(PHOTO, "JPEG", exif=EXIF),
    "grey.png": saved(Image.fromarray(noise(30, 20)), "PNG"),
    "clear.webp": saved(Image.fromarray(noise(24, 24, 4)), "WEBP", lossless=True),
    "moving.gif": saved(PHOTO.quantize(16), "GIF", save_all=True, append_images=[PHOTO.quantize(8)]),
    "old.bmp": saved(PHOTO, "BMP"),
    "deep.png": saved(Image.fromarray(noise(20, 20, dtype=np.uint16)), "PNG"),
}


def deep_tiff() -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, noise(20, 30, 3, dtype=np.uint16), photometric="rgb")
    return buffer.getvalue()


FILES["deep.tif"] = deep_tiff()


@pytest.fixture(scope="module")
def cyclegan(trained_once: Callable[[str], Path]) -> Path:
    return trained_once("cyclegan") / "run-cyclegan"


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run from label maps to photos, one back, and one that sets and clears attributes."""
    root = tmp_path_factory.mktemp("others")
    label_files.scenes(root / "set", train=4)
    train(root, "photos", "pix2pix", "set", "data.direction=AtoB")
    train(root, "maps", "pix2pix", "set", "data.direction=BtoA")
    attribute_run(root)
    return root


@pytest.fixture(scope="module")
def server(cyclegan: Path, others: Path) -> Iterator[Server]:
    runs = [cyclegan, *(others / name for name in ("photos", "maps", "people"))]
    with running(runs, max_bytes=400_000, max_pixels=90_000, waiting=2) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server.link)


@pytest.fixture
def converted(run_cli: Callable, tmp_path: Path) -> Callable[..., tuple[str, bytes]]:
    """The name and content of what `translate convert` writes for a file."""
    numbers = itertools.count()

    def convert(run: Path, name: str, data: bytes, *options: str) -> tuple[str, bytes]:
        folder = tmp_path / str(next(numbers))
        (folder / "in").mkdir(parents=True)
        (folder / "in" / name).write_bytes(data)
        exact = ("--device", "cpu", "--precision", "float32")
        result = run_cli("convert", run, folder / "in", folder / "out", *exact, *options)
        assert result.exit_code == 0, result.output
        [output] = [path for path in (folder / "out").iterdir() if not path.name.startswith(".")]
        return output.name, output.read_bytes()

    return convert


@pytest.mark.parametrize("name", FILES)
def test_a_translation_is_the_file_that_convert_writes(client, cyclegan, converted, name) -> None:
    written, data = converted(cyclegan, name, FILES[name], "--to", "B")
    answer = client.convert(FILES[name], name, to="B")
    assert answer.status == 200, answer.body
    assert answer.body == data
    suffix = Path(written).suffix
    assert answer.headers["Content-Type"] == TYPES.get(suffix, "image/jpeg")
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{Path(name).stem}{suffix}"')


@pytest.mark.parametrize(
    "fields",
    [{"size": "native"}, {"size": "32"}, {"depth": "float"}, {"depth": "16"}, {"format": "webp"}, {"checkpoint": "2"}],
    ids=str,
)
def test_fields_mean_what_the_options_of_convert_mean(client, cyclegan, converted, fields) -> None:
    options = [word for name, value in fields.items() for word in (f"--{name}", value)]
    written, data = converted(cyclegan, "plain.png", PNG, "--to", "B", *options)
    assert data != converted(cyclegan, "plain.png", PNG, "--to", "B")[1]
    in_form = client.convert(PNG, "plain.png", to="B", **fields)
    in_query = client.send(form(PNG, "plain.png"), query={"to": "B", **fields})
    assert in_form.status == in_query.status == 200, in_form.body
    assert in_form.body == in_query.body == data
    assert f'filename="{written}"' in in_form.headers["Content-Disposition"]


def test_attributes_are_set_and_cleared(client, others, converted) -> None:
    for to in (["Blond"], ["Blond", "-Male"], ["-Blond", "-Male"]):
        options = [word for one in to for word in ("--to", one)]
        answer = client.convert(PNG, model="people", to=to)
        assert answer.status == 200 and answer.body == converted(others / "people", "a.png", PNG, *options)[1]
    assert "an attribute is set or cleared" in client.convert(PNG, model="people", to=["Male", "-Male"]).error


def test_label_maps_are_taken_and_given_as_numbers_of_classes(client, others, converted) -> None:
    classes = label_files.classes(50, size=20)
    labelled = saved(label_files.palette_image(classes), "PNG")
    shot = saved(Image.fromarray(label_files.photo(classes)), "JPEG")
    photo = client.convert(labelled, "a.png", model="photos")
    assert photo.status == 200 and photo.body == converted(others / "photos", "a.png", labelled)[1]
    labels = client.convert(shot, "a.jpg", model="maps")
    assert labels.status == 200 and labels.body == converted(others / "maps", "a.jpg", shot)[1]
    assert Image.open(io.BytesIO(labels.body)).mode == "P"
    assert 'filename="a.png"' in labels.headers["Content-Disposition"]
    refused = client.convert(shot, model="maps", format="jpeg")
    assert refused.status == 422 and refused.error.startswith("label maps go into PNG and TIFF only")
    wrong = client.convert(saved(Image.fromarray(np.full((20, 20), 9, np.uint8)), "PNG"), model="photos")
    assert wrong.status == 422 and wrong.error.startswith("value 9 in 400 pixels")


def parts_of(answer: Answer) -> dict[str, email.message.EmailMessage]:
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.body, policy=HTTP)
    return {one.get_param("name", header="content-disposition"): one for one in message.iter_parts()}


@pytest.mark.parametrize("model", ["run-cyclegan", "photos", "maps"])
def test_previews_show_what_browsers_cannot(client, model) -> None:
    """Classes in their colours, floats as shades, and both in one size; beside the file as it is without them."""
    classes = label_files.classes(50, size=20)
    data = saved(label_files.palette_image(classes), "PNG") if model == "photos" else FILES["deep.tif"]
    fields = {"model": model, "depth": "float"} | ({"to": "B"} if model == "run-cyclegan" else {})
    parts = parts_of(client.convert(data, "in.tif", **fields, previews="true"))
    assert parts.keys() == {"image", "before", "after"}
    assert parts["image"].get_payload(decode=True) == client.convert(data, "in.tif", **fields).body
    assert parts["image"].get_filename() == ("in.png" if model == "maps" else "in.tif")
    before, after = (Image.open(io.BytesIO(parts[name].get_payload(decode=True))) for name in ("before", "after"))
    assert before.size == after.size and before.mode == after.mode == "RGB"
    if model == "photos":
        assert {tuple(colour) for colour in np.array(before).reshape(-1, 3)} == {
            tuple(colour) for colour in palette(Domain("x", 3, kind="labels"))[:3]
        }


def test_notes_say_what_became_of_the_picture(client) -> None:
    assert "first was converted" in client.convert(FILES["moving.gif"], to="B").headers["Translate-Notes"]
    assert "translated at 27 x 16 pixels" in client.convert(PNG, to="B").headers["Translate-Notes"]
    assert client.convert(PNG, to="B", size="native").headers["Translate-Notes"] is None


def test_models_and_what_they_can_do_are_listed(client, cyclegan) -> None:
    listed = client.get("/api/models").json
    assert [one["name"] for one in listed["models"]] == ["run-cyclegan", "photos", "maps", "people"]
    first, _, maps, people = listed["models"]
    assert first["checkpoints"] == ["latest", "best", "4", "2"] and "24 x 24" in first["trained"]
    assert [one["name"] for one in people["to"] if one["attribute"]] == ["Blond", "Male"]
    assert maps["to"][0]["gives"] == "label maps of 3 classes" and maps["to"][0]["takes"] == "8-bit RGB"
    assert listed["limits"]["max_pixels"] == 90_000
    assert str(cyclegan.parent) not in client.get("/api/models").body.decode()


def test_runs_of_equal_names_are_told_apart(cyclegan) -> None:
    shelf = Shelf([cyclegan, cyclegan], ModelOptions(device="cpu"), most=1)
    assert list(shelf.models) == ["run-cyclegan", "run-cyclegan-2"] and shelf.loaded == 1


def test_a_checkpoint_that_training_has_removed_or_broken_is_said_without_its_place(cyclegan, tmp_path, capsys) -> None:
    run = shutil.copytree(cyclegan, tmp_path / "run")
    with running([run]) as started:
        client = Client(started.link)
        (run / "checkpoints" / "step-00000002" / "model.safetensors").write_bytes(b"")
        (run / "checkpoints" / "best").write_text("nonsense")
        broken = client.convert(PNG, to="B", checkpoint="2")
        assert client.get("/api/models").json["models"][0]["checkpoints"] == ["latest", "4", "2"]
        shutil.rmtree(run / "checkpoints" / "step-00000002")
        gone = client.convert(PNG, to="B", checkpoint="2")
        assert client.convert(PNG, to="B").status == 200, "held in memory"
    assert broken.status == 503 and str(tmp_path) not in broken.error and "damaged" in capsys.readouterr().err
    assert gone.status == 422 and "no '2'; known: latest, 4" in gone.error


WRONG = {
    "no picture": (form(None), 400, "no picture was sent"),
    "a field of that name": (part("image", "text") + form(None), 400, "no picture was sent"),
    "another name": (part("file", PNG, "a.png") + form(None), 400, "in the field 'image'"),
    "two": (part("image", PNG, "a.png") + form(PNG), 400, "one picture at a time"),
    "empty": (form(b""), 400, "the file is empty"),
    "unknown field": (form(PNG, sise="3"), 400, "there is no field 'sise'; did you mean 'size'?"),
    "twice": (form(PNG, size=["3", "4"]), 400, "size is given twice"),
    "no size": (form(PNG, size="0"), 400, "size: 0: expected auto, native, trained or a number"),
    "no depth": (form(PNG, depth="9"), 400, "depth: '9' is none of target, same, 8, 16, float"),
    "no previews": (form(PNG, previews="yes"), 400, "previews: 'yes' is none of true, false"),
    "no model": (form(PNG, model="../etc"), 422, "model: there is no '../etc'; known: run-cyclegan"),
    "no checkpoint": (form(PNG, checkpoint="/etc/passwd"), 422, "run-cyclegan has no '/etc/passwd'; known: latest"),
    "no domain": (form(PNG, to="C"), 422, "to C: this model converts to"),
    "no domain chosen": (form(PNG), 422, "to is needed: this model converts to"),
    "two domains": (form(PNG, to=["A", "B"]), 422, "an image goes to one domain at a time"),
    "pixels": (
        form(saved(Image.new("L", (400, 300)), "PNG"), to="B"),
        413,
        "400 x 300 pixels are more than 90,000",
    ),
    "many fields": (form(PNG, to=["A"] * 999), 400, "the form is damaged"),
    "long value": (form(PNG, to="A" * 9999), 400, "the form is damaged"),
    "cut": (form(PNG)[:-40], 400, "no picture was sent"),
    "no form": (b"nonsense", 400, "the form is damaged"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(client, name) -> None:
    body, status, sentence = WRONG[name]
    answer = client.send(body)
    assert (answer.status, sentence in answer.error) == (status, True), answer.body
    assert "--" not in answer.error, "options are for those who type commands"


def test_other_bodies_and_addresses_are_refused(client) -> None:
    assert client.send(PNG, "image/png").status == client.send(form(PNG), "multipart/mixed").status == 415
    assert client.send(form(PNG), "multipart/form-data").error.startswith("the form is damaged")
    assert client.get("/api/convert").status == 405 and "POST" in client.get("/api/convert").headers["Allow"]
    assert client.get("/page.html").status == 404 and "openapi.json" in client.get("/page.html").error


def test_a_file_that_is_too_large_is_refused_before_it_is_stored(client, monkeypatch) -> None:
    monkeypatch.setattr(app, "translate", None)
    large = form(bytes(900_000))
    assert client.send(large).error == "the file is larger than 400,000 bytes, the most that is taken here"
    pieces = (large[start : start + 4096] for start in range(0, len(large), 4096))
    assert client.send(pieces).status == 413, "though it did not say how long it is"


def test_a_domain_of_several_images_is_refused(tmp_path) -> None:
    layer_files.samples(tmp_path / "scenes")
    with running([train(tmp_path, "run", "pix2pix", "scenes", *layer_files.NAMED)]) as started:
        answer = Client(started.link).convert(PNG)
        listed = Client(started.link).get("/api/models").json["models"]
    assert answer.status == 422 and answer.error == "a sample of input is 2 images; one image is taken here"
    assert listed[0]["to"][0]["takes"] == "photo (8-bit grey) + mask (label maps of 3 classes)"


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

    def __init__(self, client: Client, name: str) -> None:
        self.answer: Answer | None = None
        self._thread = threading.Thread(target=self._send, args=(client, name))
        self._thread.start()

    def _send(self, client: Client, name: str) -> None:
        self.answer = client.convert(PNG, name, to="B")

    def result(self) -> Answer:
        self._thread.join(PATIENCE)
        assert self.answer is not None
        return self.answer


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


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


def leave(client: Client, name: str) -> socket.socket:
    """Sends a picture, and gives the connection, to be closed before the answer."""
    body, address = form(PNG, name, to="B"), client.connection()
    connection = socket.create_connection((address.host, address.port))
    head = f"POST /api/convert HTTP/1.1\r\nHost: {address.host}\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}"
    connection.sendall(f"{head}\r\n\r\n".encode() + body)
    return connection


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


def test_elsewhere_than_on_this_computer_a_token_is_needed(cyclegan) -> None:
    with running([cyclegan], host="0.0.0.0") as started:
        path, _, token = started.link.partition("?token=")
        client = Client(path)
        assert len(token) > 30
        for way in ("/", "/api/models", "/metrics", "/openapi.json", "/page.js", "/?token=wrong", "/nowhere"):
            answer = client.get(way)
            assert answer.status == 401 and "printed" in answer.error and token not in answer.body.decode()
        assert client.convert(PNG, to="B").status == 401
        assert client.get("/health").status == 200
        for wrong in ("Bearer", "Bearer x", "Bearer é", f"Basic {token}", f"Bearer {token}x", token):
            assert client.get("/api/models", Authorization=wrong.encode()).status == 401
        assert client.get("/api/models", Authorization=f"Bearer {token}").status == 200
        opened = client.get(f"/?token={token}")
        assert opened.status == 303 and opened.headers["Location"] == "/"
        cookie = opened.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie
        name = cookie.partition("=")[0]
        assert client.get("/", Cookie=cookie.partition(";")[0]).status == 200
        assert client.get("/", Cookie=f"{name}=x").status == client.get("/", Cookie=f"other={token}").status == 401
        assert client.get("/api/models", Host="anybody.example", Authorization=f"Bearer {token}").status == 200


def test_tokens_are_compared_in_constant_time(monkeypatch) -> None:
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda one, other: compared.append((one, other)) or one == other)
    assert guard._equal("right", "right") and not guard._equal("wrong", "right")
    assert compared == [(b"right", b"right"), (b"wrong", b"right")]
    assert guard.new_token() != guard.new_token()


def test_on_this_computer_no_other_name_and_no_other_site_leads_here(client) -> None:
    port = client.connection().port
    for host in ("127.0.0.1", f"127.0.0.1:{port}", "localhost:9", f"[::1]:{port}"):
        assert client.get("/health", Host=host).status == 200
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
        "[bad",
        "localhost@evil",
    ):
        assert client.get("/api/models", Host=host).status in (400, 403), host
    own = f"http://127.0.0.1:{port}"
    assert client.send(form(PNG, to="B"), Origin=own).status == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"http://localhost:{port}", "http://[bad"):
        assert client.send(form(PNG, to="B"), Origin=origin).status == 403, origin


def test_every_answer_tells_browsers_what_to_keep_to(client) -> None:
    for answer in (client.get("/"), client.get("/api/models"), client.get("/nowhere"), client.convert(b"x"),
                   client.get("/", Host="evil.example"), client.convert(PNG, to="B")):  # fmt: skip
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy


def test_the_page_asks_nobody_else_and_has_nothing_inline(client) -> None:
    page = client.get("/").body.decode()
    for text in (page, client.get("/page.js").body.decode(), client.get("/page.css").body.decode()):
        assert len(text) > 2000 and "//" not in re.sub(r"^\s*// .*$|blob:", "", text, flags=re.MULTILINE)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|javascript:", page)
    assert {client.get(f"/{link}").status for link in re.findall(r'(?:src|href)="([^"]+)"', page)} == {200}


@pytest.mark.parametrize(
    "path",
    ["/../app.py", "/page/page.html", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/page.js/../../app.py", "/..%2f"],
)
def test_no_file_of_the_server_can_be_read(client, path) -> None:
    answer = client.get(path)
    assert answer.status == 404 and "import" not in answer.body.decode()


def test_the_description_has_every_route_and_field_and_no_other(server, client) -> None:
    document = client.get("/openapi.json").json
    assert document == description() and document["openapi"].startswith("3.1")
    routes = {
        (route.path, method.lower())
        for route in application(Service(server.service.shelf, ServingOptions())).routes
        for method in route.methods - {"HEAD"}
        if route.include_in_schema
    }
    assert routes == {(path, method) for path, each in document["paths"].items() for method in each}
    convert = document["paths"]["/api/convert"]["post"]
    form_fields = convert["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert [one["name"] for one in convert["parameters"]] == list(FIELDS) == list(Wish.__dataclass_fields__)
    assert list(form_fields) == ["image", *FIELDS]
    assert convert["parameters"][-1]["schema"] == {"type": "boolean"}
    assert set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document))) == {"Error"}


def test_answers_are_what_the_description_says(client) -> None:
    document = client.get("/openapi.json").json
    paths, error = document["paths"], document["components"]["schemas"]["Error"]
    for path in ("/api/models", "/health", "/metrics", "/openapi.json"):
        answer, described = client.get(path), paths[path]["get"]["responses"]["200"]["content"]
        assert list(described) == [answer.headers.get_content_type()]
        if path != "/metrics":
            jsonschema.validate(answer.json, closed(described["application/json"]["schema"]))
    for answer in (client.convert(b"x"), client.get("/health", Host="evil.example"), client.convert(PNG, to="C")):
        assert str(answer.status) in paths["/api/convert"]["post"]["responses"]
        jsonschema.validate(answer.json, closed(error))
    for name, field in FIELDS.items():
        jsonschema.Draft202012Validator.check_schema(field.schema)
        plain = {"to": ["a"], "size": 64, "previews": True, "depth": "16", "format": "png"}.get(name, "latest")
        jsonschema.validate(plain, field.schema)


def closed(schema: dict) -> dict:
    """The schema, whose objects have no other properties than it says."""
    if "properties" in schema:
        inner = {name: closed(one) for name, one in schema["properties"].items()}
        return {**schema, "properties": inner, "additionalProperties": False}
    return {**schema, "items": closed(schema["items"])} if "items" in schema else schema


def test_fields_are_read_strictly() -> None:
    assert wish_of([]) == Wish()
    given = [("to", "a"), ("to", "-b"), ("size", "64"), ("depth", "16"), ("format", "png"), ("previews", "true")]
    assert wish_of(given) == Wish(to=("a", "-b"), size=64, depth="16", format="png", previews=True)
    with pytest.raises(Refusal, match="there is no field"):
        wish_of([("x" * 5000, "")])


@pytest.mark.parametrize(
    ("given", "suffix", "name"),
    [
        ("horse.jpeg", ".jpg", "horse.jpeg"),
        ("horse.gif", ".png", "horse.png"),
        ("../../etc/passwd", ".png", "passwd.png"),
        ("C:\\fakepath\\my photo.PNG", ".png", "my photo.PNG"),
        ('a\r\nSet-Cookie: x".png', ".png", "a_Set-Cookie_ x_.png"),
        ("..", ".png", "picture.png"),
        (".png", ".png", "png.png"),
        ("", ".tif", "picture.tif"),
        ("馬" * 5000 + ".png", ".png", "馬" * 80 + ".png"),
    ],
)
def test_names_are_made_harmless(given, suffix, name) -> None:
    assert name_for(given, suffix) == name


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
