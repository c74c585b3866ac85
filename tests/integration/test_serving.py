"""`translate serve`: what it answers is what `translate convert` writes, in all formats and for all kinds of models."""

from __future__ import annotations

import email
import io
import itertools
import shutil
from collections.abc import Callable, Iterator
from email.policy import HTTP
from pathlib import Path

import label_files
import layer_files
import numpy as np
import pytest
import tifffile
from PIL import Image
from serving import PHOTO, PNG, Answer, Client, attribute_run, form, noise, running, saved, train

from translate.data.domain import Domain
from translate.data.label_maps import palette
from translate.inference.options import ModelOptions
from translate.serving.names import TYPES, name_for
from translate.serving.refusal import Refusal
from translate.serving.server import Server
from translate.serving.shelf import Shelf
from translate.serving.wishes import Wish, wish_of

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


def test_a_domain_of_several_images_is_refused(tmp_path) -> None:
    layer_files.samples(tmp_path / "scenes")
    with running([train(tmp_path, "run", "pix2pix", "scenes", *layer_files.NAMED)]) as started:
        answer = Client(started.link).convert(PNG)
        listed = Client(started.link).get("/api/models").json["models"]
    assert answer.status == 422 and answer.error == "a sample of input is 2 images; one image is taken here"
    assert listed[0]["to"][0]["takes"] == "photo (8-bit grey) + mask (label maps of 3 classes)"


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
