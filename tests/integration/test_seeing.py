"""Sheets, the gallery and the cycle error: what a conversion did, to look at."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from PIL import Image
from test_converter import Negative
from tiny import CPU, SPEC, tiny_model, write_images

from translate.data.batch import Paired, Unpaired
from translate.data.io.images import read
from translate.data.layouts.listing import iterate_images
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.cycle_error import CycleError, beside
from translate.inference.folder import convert_folder
from translate.inference.gallery import write_gallery
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.inference.records import Record
from translate.inference.sheets import ROWS, rows, write_sheets
from translate.models import MODELS
from translate.models.base import Request


class Lossy(Negative):
    """To b: the negative; to a: the negative without its red."""

    def targets(self):
        return [1, 0]

    def convert(self, images, to):
        there = super().convert(images, to)
        return there if to == 1 else torch.cat([torch.full_like(there[:, :1], -1.0), there[:, 1:]], 1)


def run_over(converter, tmp_path, **options):
    records: list[Record] = []
    jobs = plan(tmp_path / "photos", tmp_path / "out")
    convert_folder(converter, jobs, Request.to(1), OutputOptions(**options), done=records.append)
    return records


def converted(tmp_path, names, model=None, **options):
    write_images(tmp_path / "photos", names, size=21)
    converter = Converter(model or Lossy(), SPEC, CPU)
    records = run_over(converter, tmp_path, **options)
    return converter, records


def test_a_sheet_shows_each_input_beside_its_output(tmp_path):
    _, records = converted(tmp_path, [f"{index}.png" for index in range(ROWS + 1)])
    assert write_sheets(tmp_path / "sheets", rows(records, tmp_path / "photos")) == []
    sheets = sorted((tmp_path / "sheets").iterdir())
    assert [sheet.name for sheet in sheets] == ["sheet-00001.png", "sheet-00002.png"]
    sheet = np.asarray(Image.open(sheets[1]))
    before, after = (np.asarray(Image.open(tmp_path / where / f"{ROWS}.png")) for where in ("photos", "out"))
    places, columns = _find(sheet, before), _find(sheet, after)
    assert places and columns and places[0] == columns[0] and places[1] + 21 <= columns[1], "side by side"


def _find(sheet, picture):
    """Where a picture stands whole in a sheet."""
    windows = np.lib.stride_tricks.sliding_window_view(sheet, picture.shape)[:, :, 0]
    places = np.argwhere((windows == picture).all((2, 3, 4)))
    return tuple(places[0]) if len(places) == 1 else None


def test_sheets_hold_every_size_depth_and_name(tmp_path):
    write_images(tmp_path / "photos", ["wide.png"], size=900)
    write_images(tmp_path / "photos", ["ünï <b> 猫.png"], size=3)
    Image.fromarray(np.full((9, 40), 40000, np.uint16)).save(tmp_path / "photos" / "deep.png")
    _, records = converted(tmp_path, ["x.png"])
    assert write_sheets(tmp_path / "sheets", rows(records, tmp_path / "photos")) == []
    with Image.open(tmp_path / "sheets" / "sheet-00001.png") as sheet:
        assert sheet.mode == "RGB" and 2 * 512 < sheet.width < 2 * 512 + 40


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_the_gallery_holds_every_pair_and_asks_nothing_of_the_network(tmp_path):
    _, records = converted(tmp_path, ["a.png", "b<script>alert(1)</script>'\".jpg".replace("/", "")])
    page = tmp_path / "deep" / "er.html"
    assert write_gallery(page, "<i>out</i>", {"to": "<u>"}, rows(records, tmp_path / "photos")) == []
    text = page.read_text("utf-8")
    read_page = Page(text)
    images = [attributes for tag, attributes in read_page.tags if tag == "img"]
    assert len(images) == 4 and all(image["loading"] == "lazy" for image in images)
    sources = [attributes[key] for _, attributes in read_page.tags for key in ("src", "href") if key in attributes]
    embedded = [source for source in sources if source.startswith("data:image/webp;base64,")]
    links = [source for source in sources if source not in embedded]
    assert len(embedded) == 4 and len(links) == 4
    for link in links:
        assert link.startswith("./../") and (page.parent / unquote(link)).is_file(), "the files themselves, nearby"
    assert not {"script", "u", "b"} & {tag for tag, _ in read_page.tags} and "url(" not in text
    assert [image["alt"].rsplit(", ")[-1] for image in images] == ["input", "output"] * 2
    shown = Image.open(io.BytesIO(base64.b64decode(images[1]["src"].partition(",")[2]))).convert("RGB")
    truth = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    assert shown.size == (21, 21)
    assert np.corrcoef(np.asarray(shown).ravel(), truth.ravel())[0, 1] > 0.5, "the output, not the input"


def test_a_large_gallery_is_capped_and_says_so(tmp_path):
    _, records = converted(tmp_path, [f"{index}.png" for index in range(9)])
    write_gallery(tmp_path / "g.html", "out", {}, rows(records, tmp_path / "photos"), most=6)
    text = (tmp_path / "g.html").read_text("utf-8")
    assert "3 of 9 images, spread evenly" in text
    assert re.findall(r"<figcaption>(.*?)</figcaption>", text) == ["0.png", "4.png", "8.png"]


def test_the_cycle_error_is_what_the_way_back_misses(tmp_path):
    converter, records = converted(tmp_path, ["x.png"])
    cycle = CycleError(converter, Request.to(1))
    mean = cycle.write(records[0])
    before = np.asarray(Image.open(tmp_path / "photos" / "x.png")).astype(float)
    # There and back is the input without its red, which is a third of what is missed.
    truth = before[..., 0] / 255 / 3
    assert mean == pytest.approx(truth.mean(), abs=1e-6)
    picture = np.asarray(Image.open(beside(records[0].output))).astype(float)
    assert np.abs(picture / 255 / 4 - np.minimum(truth, 0.25)).max() <= 0.5 / 255 / 4 + 1e-9
    assert cycle.failed == []


def test_a_perfect_way_back_is_black(tmp_path):
    class Negatives(Negative):
        def targets(self):
            return [0, 1]

    converter, records = converted(tmp_path, ["x.png"], Negatives())
    assert CycleError(converter, Request.to(1)).write(records[0]) == pytest.approx(0, abs=1e-6)
    assert not np.asarray(Image.open(beside(records[0].output))).any()


def test_cycle_errors_are_no_inputs_and_meet_no_output(tmp_path):
    converter, records = converted(tmp_path, ["a.png", "a.jpg", "a.webp"])
    cycle = CycleError(converter, Request.to(1))
    assert all(cycle.write(record) is not None for record in records)
    assert sorted(path.name for path in iterate_images(tmp_path / "out")) == ["a.jpg", "a.png", "a.webp"]
    assert len(list((tmp_path / "out").iterdir())) == 6
    again = run_over(converter, tmp_path)
    assert [cycle.write(record) for record in again] == [None] * 3, "made already"
    beside(records[0].output).unlink()
    assert sum(cycle.write(record) is not None for record in again) == 1


def test_a_way_back_that_was_not_taught_is_refused():
    with pytest.raises(ConfigurationError, match="one way only"):
        CycleError(Converter(Negative(), SPEC, CPU), Request.to(1))


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if kind.batch_type in (Paired, Unpaired)])
def test_a_method_of_two_domains_goes_back_if_it_was_taught_both_ways(name):
    model = tiny_model(name)
    if set(model.targets()) == {0, 1}:
        assert model.way_back(Request.to(1))(torch.zeros(1, 3, 16, 16)) == Request.to(0)
    else:
        with pytest.raises(ConfigurationError, match="one way only"):
            model.way_back(Request.to(1))


def test_stargan_goes_back_to_what_it_reads_off_the_input():
    model = tiny_model("stargan").eval()
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    read_off = int(model.read(image)[0].argmax())
    for target in range(3):
        assert model.way_back(Request.to(target))(image) == Request.to(read_off)


def test_attributes_go_back_to_all_that_was_read_in_their_group():
    from translate.data.labels import LabelGroup
    from translate.models.base import ImageSpec
    from translate.models.labels import Labels

    groups = (LabelGroup(3, exclusive=False), LabelGroup(2, exclusive=True))
    labels = Labels(ImageSpec(3, 16, tuple("abcde"), groups, alternatives=((0, 1),)))
    before = torch.tensor([1.0, 0, 1, 0, 1])
    assert labels.restoring(before, Request.to(1)) == Request(frozenset({0, 2}), frozenset({1}))
    assert labels.restoring(before, Request.to(3)) == Request.to(4)
    there = labels.change(before[None], Request.to(1))
    assert there[0].tolist() == [0, 1, 1, -1, -1]
    back = labels.change(there, labels.restoring(before, Request.to(1)))
    assert back[0].tolist() == [1, 0, 1, -1, -1]


@pytest.fixture
def trained(run_cli, tiny_recipe, tmp_path):
    from tiny import unpaired_folder

    data = unpaired_folder(tmp_path / "data")
    assert run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "-q").exit_code == 0
    write_images(tmp_path / "photos", ["x.png", "deeper.jpg"], size=20)


def test_the_command_line_shows_what_it_did(run_cli, trained, tmp_path):
    common = ("convert", "run", "photos", "out", "--to", "B", "-q")
    looks = ("--compare", "sheets", "--gallery", "g.html", "--cycle-error", "--manifest", "rows.jsonl")
    result = run_cli(*common, *looks)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "sheets" / "sheet-00001.png").is_file()
    assert "x.png, cycle error" in (tmp_path / "g.html").read_text()
    assert read(tmp_path / "out" / "x.png.cycle-error.png").pixels.shape == (20, 20, 1)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and all(0 < row["cycle_error"] < 1 for row in rows)
    # Back from there: what was written beside the outputs is not converted.
    assert "2 converted" in run_cli("convert", "run", "out", "back", "--to", "A", "-q").stdout
    # Everything is there already; what is wanted is made of it.
    later = run_cli(*common, "--gallery", "later.html")
    assert "2 skipped" in later.stdout and (tmp_path / "later.html").is_file()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--compare", "out/sheets"), "lies in out"),
        (("--compare", "photos"), "lies in photos"),
        (("--gallery", "photos/g.html"), "lies in photos"),
        (("--gallery", "g.html", "--shard", "1/2"), "without --shard"),
    ],
)
def test_what_is_made_to_look_at_lies_beside_no_image(run_cli, trained, tmp_path, options, says):
    result = run_cli("convert", "run", "photos", "out", "--to", "B", *options)
    assert result.exit_code == 2 and says in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_read_is_told_and_the_rest_is_shown(run_cli, trained, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.png").write_bytes(b"broken before")
    result = run_cli("convert", "run", "photos", "out", "--to", "B", "-q", "--gallery", "g.html", "--cycle-error")
    assert result.exit_code == 3 and "missing: out/x.png" in result.stderr
    assert "deeper.jpg, output" in (tmp_path / "g.html").read_text()
