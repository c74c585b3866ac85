"""The report and the gallery in a real browser, on a desk and on a phone, light and dark.

TRANSLATE_SCREENSHOTS names a folder for pictures of them, to be looked at.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from translate.inference.gallery import write_gallery
from translate.inference.sheets import Part, Row
from translate.reporting.report import write_report
from translate.reporting.tracking import save_pictures

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
SCREENS = {"desk": (1280, 900), "phone": (390, 844)}
CAPTIONS = ["input", *(f"step {step}, translated to a domain of a very long name" for step in (1, 2, 3, 4)), "truth"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as here:
        opened = here.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def picture(seed: int, side: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    rows = []
    for row, side in enumerate((24, 700)):
        files = {caption: folder / f"{row}-{column} #%.png" for column, caption in enumerate(CAPTIONS)}
        for number, file in enumerate(files.values()):
            picture(number, side).save(file)
        parts = {caption: Part(file) for caption, file in files.items()}
        rows.append(Row(f"{'a/long/name' * 9}-{row}.png", files["input"], parts))
    assert write_gallery(folder / "gallery.html", "six columns", {"step": "1,000"}, rows) == []
    run = folder / "run"
    run.mkdir()
    (run / "recipe.yaml").write_text("name: fog\n")
    for step in (100, 200):
        columns = {caption: [picture(step, 24), picture(step + 1, 24)] for caption in CAPTIONS}
        save_pictures(run / "samples" / f"step-{step:08d}.png", columns)
    return {"gallery": folder / "gallery.html", "report": write_report(run)}


@pytest.fixture(params=[(screen, scheme) for screen in SCREENS for scheme in ("light", "dark")], ids="-".join)
def screen(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    """A page that must not complain, nor ask for anything but itself."""
    name, scheme = request.param
    width, height = SCREENS[name]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page, complaints, asked = context.new_page(), [], []
    page.set_default_timeout(120_000)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asking: asked.append(asking.url))
    yield page
    context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("name", ["gallery", "report"])
def test_columns_are_even_and_each_is_reached_and_enlarged(screen: Any, pages: dict[str, Path], name: str) -> None:
    screen.goto(pages[name].as_uri())
    if folder := os.environ.get("TRANSLATE_SCREENSHOTS"):
        width, scheme = (
            screen.viewport_size["width"],
            screen.evaluate("matchMedia('(prefers-color-scheme: dark)').matches"),
        )
        screen.screenshot(path=f"{folder}/{name}-{width}-{'dark' if scheme else 'light'}.png", full_page=True)
    assert _overflow(screen, "document.documentElement") == 0, "the page itself does not scroll sideways"
    row = screen.locator(".row:visible").filter(has=screen.locator(".shot")).first
    shots = row.locator(".shot")
    assert shots.count() == len(CAPTIONS)
    boxes = [shots.nth(number).bounding_box() for number in range(len(CAPTIONS))]
    assert max(box["width"] for box in boxes) - min(box["width"] for box in boxes) < 1
    assert max(box["y"] for box in boxes) - min(box["y"] for box in boxes) < 1
    for caption in screen.locator(".row:visible i, .heads:visible b").all():
        assert caption.evaluate("one => one.scrollWidth <= one.clientWidth + 1"), "not cut"

    last = shots.nth(len(CAPTIONS) - 1)
    last.evaluate("one => one.scrollIntoView({inline: 'end', block: 'center'})")
    here, table = last.bounding_box(), screen.locator(".table:visible").first
    assert here["x"] >= 0 and here["x"] + here["width"] <= screen.viewport_size["width"]
    assert screen.evaluate("scrollX") == 0
    assert table.evaluate("one => one.scrollLeft > 0") == (screen.viewport_size["width"] < 800)

    last.click()
    shown = last.locator("img")
    width, natural = shown.bounding_box()["width"], shown.evaluate("one => one.naturalWidth")
    assert natural == 24 and width == pytest.approx(24 * (512 // 24)), "small ones in whole tiles"
    assert shown.evaluate("one => getComputedStyle(one).imageRendering") == "pixelated"
    last.click(position={"x": 5, "y": 5})
    assert shown.bounding_box()["width"] == pytest.approx(here["width"], abs=1)


def test_a_photo_is_shown_in_its_pixels_and_leads_to_its_file(screen: Any, pages: dict[str, Path]) -> None:
    screen.goto(pages["gallery"].as_uri())
    shot = screen.locator(".pair").nth(1).locator(".shot").first
    shot.click()
    assert shot.locator("img").bounding_box()["width"] == pytest.approx(700)
    assert _overflow(screen, "document.documentElement") == 0
    assert "700 × 700 pixels" in shot.locator(".about").inner_text()
    shot.get_by_role("link").click()
    screen.wait_for_url("**/1-0%20%23%25.png")


def test_a_step_is_chosen_without_a_script(screen: Any, pages: dict[str, Path]) -> None:
    screen.goto(pages["report"].as_uri())
    first, last = (screen.get_by_label(f"samples at step {step}", exact=True) for step in (100, 200))
    assert last.is_visible() and not first.is_visible()
    screen.get_by_text("100", exact=True).click()
    assert first.is_visible() and not last.is_visible()


def _overflow(screen: Any, element: str) -> int:
    return screen.evaluate(f"{element}.scrollWidth - {element}.clientWidth")
