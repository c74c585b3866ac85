"""The report of a run: complete, self-contained, and safe whatever the run folder holds."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import math
import os
import re
from contextlib import closing
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup
from PIL import Image

from translate.errors import ConfigurationError, TranslateError
from translate.reporting.axes import axis_of_steps, axis_of_values, labelled, short
from translate.reporting.charts import chart, curves_by_chart, smoothed
from translate.reporting.page import rendered
from translate.reporting.pictures import spread
from translate.reporting.report import write_report
from translate.reporting.tracking import MetricsLog, Places, save_marked, save_pictures


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: elements with attributes, and text by the element it is in."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[tuple[str, str]] = []
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.text.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self, tag: str) -> list[str]:
        return [text for name, text in self.text if name == tag]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "horses <b>&"
    with closing(MetricsLog(run / "metrics.jsonl")) as log:
        for step in range(10, 5010, 10):
            losses = {
                "generator/adversarial": 0.7,
                "generator/cycle": 1 + 1 / step,
                "discriminator/real": 0.5,
            }
            log.log(step, {**losses, "learning_rate": 2e-4})
    (run / "recipe.yaml").write_text(
        "name: mine\nmodel: {name: cyclegan, cycle: 10}\ndata: {set: horses}\ntraining: {seed: 7}\n"
        "# <script>alert(1)</script>\n"
    )
    (run / "samples").mkdir()
    for step in range(500, 5001, 500):
        Image.new("RGB", (64, 32), (step // 20, 0, 0)).save(run / "samples" / f"step-{step:08}.png")
    (run / "summary.json").write_text(
        json.dumps({"fid": {"value": 50.0, "baseline": 200.0}, "l1": {"value": 0.1, "protocol": "3 <i>images"}})
    )
    return run


def test_the_page_is_whole(run: Path) -> None:
    path = write_report(run)
    assert path == run / "report.html"
    page = Page(path)
    assert not page.open, "an element is left open"
    assert page.words("h1") == ["horses <b>&"]
    assert page.words("h2") == ["Validation", "Samples", "Curves", "Recipe"]
    facts = dict(zip(page.words("dt"), page.words("dd"), strict=True))
    assert {
        "name": "mine",
        "method": "cyclegan",
        "data": "horses",
        "seed": "7",
        "last step": "5,000",
    }.items() <= facts.items()
    assert "cycle: 10" in page.words("pre")[0]
    assert "protocol" not in page.words("th") and "After the last step, of 3 <i>images." in page.words("p")
    assert not [file for file in run.iterdir() if "tmp" in file.name]


def test_one_chart_per_prefix_with_a_line_for_each_metric(run: Path) -> None:
    page = Page(write_report(run))
    assert page.words("h3") == ["generator", "discriminator", "learning rate"]
    lines = [attributes for attributes in page.all("g") if "line" in (attributes["class"] or "")]
    assert len(lines) == 4
    assert [word for word in page.words("li") if word] == ["adversarial", "cycle", "real", "learning rate"]
    for path in page.all("path"):
        assert re.fullmatch(r"M[-\d. LZ]+", path["d"] or ""), "coordinates are finite numbers"


def test_nothing_comes_from_elsewhere(run: Path) -> None:
    page = Page(write_report(run))
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name in ("href", "xlink:href") for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:")
    content = (run / "report.html").read_text("utf-8")
    assert not re.search(r"https?:|url\(|@import|//[a-z]", re.sub(r"base64,[\w+/=]+", "", content))
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy is not None and "default-src 'none'" in policy


def test_every_word_of_a_run_is_escaped(run: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    with closing(MetricsLog(run / "metrics.jsonl")) as log:
        log.log(6000, {f"{evil}/{evil}": 1.0, f'"{evil}': math.nan})
    (run / "summary.json").write_text(json.dumps({evil: {"value": evil, "baseline": evil}}))
    (run / "recipe.yaml").write_text(f"{json.dumps(evil)}: {json.dumps(evil)}\n</pre>{evil}\n")
    page = Page(write_report(run))
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert evil in page.words("h3") and ("th", evil) in page.text and f"</pre>{evil}" in page.words("pre")[0]


def test_a_summary_that_says_what_it_measures_is_shown_with_unit_direction_and_decimals(run: Path) -> None:
    about = {"unit": "dB", "better": "higher", "decimals": 2, "measure": "in decibels"}
    entry = {"value": 21.23456, "untouched input": 18.0, **about, "protocol": "6 images", "precision": "bf16"}
    (run / "summary.json").write_text(json.dumps({"to b, psnr": entry}))
    page = Page(write_report(run))
    assert page.words("small") == ["dB, higher is better"]
    assert ("b", "21.23") in page.text and ("td", "18.00") in page.text
    assert page.words("th") == ["measure", "this run", "untouched input", "to b, psnr"]
    notes = page.words("p")
    assert "After the last step, of 6 images; the model in bf16." in notes and "Measures: psnr in decibels." in notes


def test_a_unit_that_the_measures_key_names_is_said_once(run: Path) -> None:
    entry = {"value": 21.0, "unit": "HU", "better": "lower"}
    (run / "summary.json").write_text(json.dumps({"validation/to_ct/error/HU": entry}))
    page = Page(write_report(run))
    assert page.words("small") == ["HU, lower is better"] and page.words("th")[-1] == "to ct, error"


@pytest.mark.parametrize("decimals", [1e9, -1, "many", None])
def test_a_hostile_number_of_decimals_is_not_taken(run: Path, decimals: object) -> None:
    (run / "summary.json").write_text(json.dumps({"l1": {"value": 0.123456789, "decimals": decimals}}))
    assert ("b", "0.12346") in Page(write_report(run)).text


def test_a_template_fails_where_a_value_is_missing_and_takes_only_markup_for_html() -> None:
    with pytest.raises(UndefinedError, match="note"):
        rendered("gallery.html.j2", title="t", facts=[], captions=[], rows=[], footer="f")
    facts = [("<i>", Markup("<u>ours</u>"))]
    page = rendered("gallery.html.j2", title="<b>", facts=facts, captions=[], rows=[], note="n", footer="f")
    assert "<b>" not in page and "&lt;b&gt;" in page and "<dt>&lt;i&gt;</dt><dd><u>ours</u></dd>" in page


def test_validation_stands_beside_its_baseline(run: Path) -> None:
    page = Page(write_report(run))
    cells = [text for tag, text in page.text if tag in ("td", "b", "th")]
    first = cells.index("fid")
    assert cells[first - 3 : first + 3] == ["measure", "this run", "baseline", "fid", "50", "200"]
    second = cells.index("l1")
    assert cells[second : second + 3] == ["l1", "0.1", "–"]


def test_samples_are_the_first_some_between_and_the_last(run: Path) -> None:
    page = Page(write_report(run))
    steps = [int(caption.removeprefix("step ").replace(",", "")) for caption in page.words("figcaption")]
    assert steps[0] == 500 and steps[-1] == 5000 and len(steps) == 6 and steps == sorted(steps)
    for step, image in zip(steps, page.all("img"), strict=True):
        assert _pixel(image["src"]) == (step // 20, 0, 0)


def test_large_samples_are_made_small_enough(run: Path) -> None:
    noise = Image.frombytes("RGB", (1024, 1024), os.urandom(1024 * 1024 * 3))
    for step in range(500, 5001, 500):
        noise.save(run / "samples" / f"step-{step:08}.png", compress_level=0)
    path = write_report(run)
    assert path.stat().st_size < 10_000_000
    images = Page(path).all("img")
    assert len(images) == 6 and all((image["src"] or "").startswith("data:image/jpeg") for image in images)
    assert isinstance(_pixel(images[0]["src"]), tuple)


def _pixel(source: str | None) -> object:
    assert source is not None
    with Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2]))) as image:
        return image.getpixel((5, 5))


def test_a_torn_sample_is_named_and_the_rest_is_shown(run: Path) -> None:
    torn = run / "samples" / "step-00000500.png"
    torn.write_bytes(torn.read_bytes()[:60])
    page = Page(write_report(run))
    assert len(page.all("img")) == 5
    assert "step-00000500.png cannot be read." in page.words("p")


def test_a_run_killed_early_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("{: not yaml")
    page = Page(write_report(tmp_path))
    assert not page.all("svg") and "No metric was logged." in page.words("p")
    with closing(MetricsLog(tmp_path / "metrics.jsonl")) as log:
        log.log(1, {"loss": math.nan, "generator/l1": 0.0})
    page = Page(write_report(tmp_path))
    assert len(page.all("svg")) == 2, "one chart: its frame and its plot"
    assert "No finite value was logged." in page.words("p") and "1 not finite" in page.words("em")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no recipe\.yaml"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["[1]", '{"fid": 3}', "{"])
def test_a_summary_of_another_form_is_refused(run: Path, content: str) -> None:
    (run / "summary.json").write_text(content)
    with pytest.raises(TranslateError, match=r"summary\.json"):
        write_report(run)


def test_metrics_of_another_size_have_a_chart_of_their_own() -> None:
    rows = [{"step": s, "val/fid": 100.0, "val/kid": 0.02, "val/is": 9.0, "val/zero": 0.0} for s in (1, 2)]
    charts = [(title, [curve.name for curve in curves]) for title, curves in curves_by_chart(rows)]
    assert charts == [("val", ["fid", "is"]), ("val", ["kid", "zero"])]


def _drawn(svg: str, kind: str) -> list[tuple[float, float]]:
    (path,) = re.findall(kind + r' d="M([^"Z]*)', svg)
    return [tuple(map(float, place.split())) for place in path.split("L")]  # type: ignore[misc]


def test_a_curve_rises_where_its_values_do_and_its_legend_has_the_last() -> None:
    rows = [{"step": step, "loss": value} for step, value in ((0, 1.0), (10, 2.0), (20, 4.0), (40, 3.0))]
    ((title, curves),) = curves_by_chart(rows)
    svg = chart(title, curves)
    places = _drawn(svg, "<title>loss</title><path")
    across, down = zip(*places, strict=True)
    assert across[0] == 0 and [x / across[-1] for x in across] == pytest.approx([0, 0.25, 0.5, 1], abs=0.01)
    heights = [down[0] - y for y in down]  # of the first value 1, the second 2, ...
    assert [height / heights[2] for height in heights] == pytest.approx([0, 1 / 3, 1, 2 / 3], abs=0.01)
    assert heights[2] > 0 and min(down) >= 0, "up is the way to lower y"
    assert "<b>3</b>" in svg and "not finite" not in svg


def test_the_band_of_a_smoothed_curve_goes_along_the_top_and_back_along_the_bottom() -> None:
    rows = [{"step": step, "loss": 10.0 * (step % 2)} for step in range(1200)]
    ((title, curves),) = curves_by_chart(rows)
    places = _drawn(chart(title, curves), 'class="band c0"')
    top, bottom = places[: len(places) // 2], places[len(places) // 2 :]
    assert len(top) == len(bottom) == 120 and [x for x, _ in bottom] == [x for x, _ in reversed(top)]
    assert max(y for _, y in top) < min(y for _, y in bottom) and min(y for _, y in top) >= 0


def test_many_points_become_means_that_keep_the_average() -> None:
    points = [(step, float(step % 7)) for step in range(12_000)]
    bins = smoothed(points)
    assert len(bins) == 120
    assert math.isclose(sum(bin.mean for bin in bins) / 120, sum(value for _, value in points) / 12_000)
    assert all(bin.low == 0 and bin.high == 6 for bin in bins)
    few = smoothed([(1, 2.0), (5, 3.0)])
    assert [(bin.step, bin.mean) for bin in few] == [(1, 2.0), (5, 3.0)]


@pytest.mark.parametrize(
    "values", [[0.0], [5.0], [-3.0, 4.0], [1e-8, 2e-8], [0.1, 1e6], [1e300, -1e300], [7.0, 7.0000001]]
)
def test_an_axis_holds_its_values_and_has_round_ticks(values: list[float]) -> None:
    axis = axis_of_values(values)
    assert all(0 <= axis.place(value) <= 1 for value in values)
    ticks = axis.ticks(about=5)
    assert 1 <= len(ticks) <= 12 and all(-1e-6 <= axis.place(tick) <= 1 + 1e-6 for tick in ticks)
    labels = [label for _, label in labelled(ticks)]
    assert len(set(labels)) == len(labels)
    assert labels == [short(tick) for tick in ticks] or values == [7.0, 7.0000001], "four digits where they do"


def test_values_over_decades_stand_on_a_logarithmic_axis() -> None:
    axis = axis_of_values([0.01, 100.0])
    assert axis.logarithmic and math.isclose(axis.place(1.0), 0.5)
    assert axis.ticks(about=5) == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert not axis_of_values([0.0, 100.0]).logarithmic


def test_steps_are_marked_at_round_numbers() -> None:
    assert axis_of_steps([100, 20_000]).ticks(about=6) == [5000, 10_000, 15_000, 20_000]
    assert axis_of_steps([15, 15]).ticks(about=6) == [14, 15, 16], "there is no half step"
    assert axis_of_steps([15, 18]).ticks(about=6) == [15, 16, 17, 18]
    assert [short(tick) for tick in (5000, 1_500_000, 0.05, 2e-5, 12)] == [
        "5k",
        "1.5M",
        "0.05",
        "2e-05",
        "12",
    ]


def test_spread_takes_both_ends() -> None:
    assert spread(range(100), 5) == [0, 25, 50, 74, 99]
    assert spread([1, 2], 6) == [1, 2] and spread([], 6) == []


@pytest.mark.parametrize(("count", "chosen"), [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (12, list(range(10)))])
def test_items_are_chosen_evenly_from_first_to_last(count, chosen):
    assert spread(range(10), count) == chosen


def test_the_scores_of_evaluate_are_part_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: fog")
    asked = {"split": "test", "images": 9}
    scores = [
        {"table": "KID", "name": "<to b>", "value": 0.0712, "better": "lower", "low": 0.06, "high": 0.08,
         "floor": {"untouched inputs": 0.3}, "ceiling": {}, "protocol": asked, "warning": "few images"},
        {"table": "KID", "name": "to a", "value": None, "better": "lower", "floor": {"untouched inputs": 0.2},
         "ceiling": {}, "protocol": asked, "note": "could not be measured", "key": "kid"},
        {"table": "label accuracy", "name": "to b", "value": 91.5, "unit": "%", "better": "higher"},
    ]  # fmt: skip
    (tmp_path / "evaluation-latest.json").write_text(json.dumps(scores))
    page = Page(write_report(tmp_path))
    assert {"KID (lower is better)", "label accuracy, % (higher is better)"} <= set(page.words("h3"))
    assert {"<to b>", "to a", "floor: untouched inputs"} <= set(page.words("th"))
    assert {"0.06 to 0.08", "0.3", "0.2"} <= set(page.words("td"))
    assert {"0.0712", "91.5"} <= set(page.words("b"))
    assert not page.words("small"), "no worse than the inputs"
    scores[0]["value"] = 0.4
    (tmp_path / "evaluation-latest.json").write_text(json.dumps(scores))
    page = Page(write_report(tmp_path))
    assert page.words("small") == ["worse than untouched inputs"]
    assert [cell for cell in page.all("td") if cell.get("class") == "worse"]
    assert {"few images", "to a: could not be measured", "split: test; images: 9"} <= set(page.words("p"))


def test_scores_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: fog")
    (tmp_path / "evaluation-latest.json").write_text('[{"table": 3}]')
    with pytest.raises(TranslateError, match=r"evaluation-latest\.json"):
        write_report(tmp_path)


@pytest.mark.parametrize(("value", "worse"), [(0.3, True), (0.1, False)])
def test_a_model_worse_than_its_input_is_said_in_words_and_colour(tmp_path: Path, value: float, worse: bool) -> None:
    (tmp_path / "recipe.yaml").write_text("name: fog")
    summary = {
        "validation/to_b/l1": {"value": value, "untouched input": 0.2, "best colour map": 0.05, "better": "lower"},
        "validation/to_b/psnr": {"value": 20.0, "untouched input": 19.0, "better": "higher"},
        "validation/to_b/other": {"value": 20.0, "untouched input": 19.0},
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    page = Page(write_report(tmp_path))
    said = [text for text in page.words("small") if text.startswith("worse than")]
    assert said == [f"worse than {'untouched input and ' * worse}best colour map"]
    assert sum(cell.get("class") == "worse" for cell in page.all("td")) == 1


def test_grids_that_are_not_shown_are_counted(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: fog")
    (tmp_path / "samples").mkdir()
    for step in range(9):
        Image.new("RGB", (4, 4)).save(tmp_path / "samples" / f"step-{step:08d}.png")
    assert "3 more in samples/, of the steps between." in Page(write_report(tmp_path)).words("p")


def test_a_grid_that_says_where_its_pictures_are_is_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: fog")
    columns = {name: [Image.new("RGB", (8, 8), (9 * row, 0, 200))] * 2 for row, name in enumerate(("in", "<b>out"))}
    save_pictures(tmp_path / "samples" / "step-00000010.png", columns)
    page = Page(write_report(tmp_path))
    assert [_pixel(image["src"]) for image in page.all("img")] == [(0, 0, 200), (9, 0, 200)] * 2
    assert {"in", "<b>out"} <= set(page.words("b"))


@pytest.mark.parametrize("boxes", [[[[0, 0, 99, 4]]], [[[0, 0, 4]]], [[[-1, 0, 4, 4]]], [[]], [[[0, 0, 4, 4]] * 2], []])
def test_a_grid_that_says_nonsense_of_its_pictures_is_shown_whole(tmp_path: Path, boxes: list[list[list[int]]]) -> None:
    (tmp_path / "recipe.yaml").write_text("name: fog")
    save_marked(tmp_path / "samples" / "step-00000010.png", Image.new("RGB", (16, 9)), Places(["in"], [], boxes))
    (image,) = Page(write_report(tmp_path)).all("img")
    assert (image["width"], image["height"]) == ("16", "9")
