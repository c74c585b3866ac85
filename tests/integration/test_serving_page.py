"""The page of `translate serve` in a real browser: pictures dropped, chosen and pasted, on a desk and on a phone.

TRANSLATE_SCREENSHOTS names a folder for pictures of it, to be looked at.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import Client, attribute_run, running

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
SCREENS = {"desk": (1280, 900), "phone": (390, 844)}
WAIT = 120_000


@pytest.fixture(scope="module")
def link(trained_once: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    runs = [trained_once(name) / f"run-{name}" for name in ("cyclegan", "pix2pix")]
    people = attribute_run(tmp_path_factory.mktemp("people"))
    with running([*runs, people], max_bytes=300_000) as started:
        yield started.link


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as here:
        opened = here.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Page:
    """An opened page, and all that it asked for and complained about."""

    def __init__(self, browser: Any, link: str, screen: str, scheme: str) -> None:
        width, height = SCREENS[screen]
        self.link, self.name = link, f"serve-{screen}-{scheme}"
        phone = screen == "phone"
        size = {"width": width, "height": height}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=phone, is_mobile=phone)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(link)
        self.page.locator("#limits").get_by_text("megapixels").wait_for()

    def drop(self, *files: tuple[str, str, bytes], kind: str = "drop") -> None:
        """Drops or pastes files, as the events of a browser tell of them."""
        given = [[name, type, base64.b64encode(data).decode()] for name, type, data in files]
        event = {
            "drop": 'new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})',
            "paste": 'new ClipboardEvent("paste", {clipboardData: data, bubbles: true})',
        }[kind]
        script = f"""files => {{
            const data = new DataTransfer();
            for (const [name, type, content] of files) {{
                const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
                data.items.add(new File([bytes], name, {{type}}));
            }}
            document.querySelector("#drop").dispatchEvent({event});
        }}"""
        self.page.evaluate(script, given)

    def select(self, label: str) -> Any:
        return self.page.get_by_role("combobox", name=label, exact=True)

    def choose(self, label: str, option: str) -> None:
        self.select(label).select_option(option)

    def card(self, name: str) -> Any:
        return self.page.locator("article", has=self.page.get_by_role("heading", name=name, exact=True))

    def finished(self, name: str) -> Any:
        card = self.card(name)
        card.get_by_role("slider").wait_for()
        return card

    def download(self, card: Any) -> tuple[str, bytes]:
        with self.page.expect_download() as waiting:
            card.get_by_role("link").click()
        return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()

    def keep(self, moment: str) -> None:
        if folder := os.environ.get("TRANSLATE_SCREENSHOTS"):
            self.page.screenshot(path=f"{folder}/{self.name}-{moment}.png", full_page=True)

    def scrolls_sideways(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


@pytest.fixture
def opened(browser: Any, link: str) -> Iterator[Callable[..., Page]]:
    pages: list[Page] = []

    def open_page(screen: str = "desk", scheme: str = "light") -> Page:
        pages.append(Page(browser, link, screen, scheme))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()
        assert [url for url in page.asked if not url.startswith((page.link, f"blob:{page.link}"))] == []


def picture(seed: int, width: int = 120, height: int = 80, format: str = "PNG") -> bytes:
    across, down = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 200, height))
    pixels = np.stack([across, down, np.full_like(across, 40 * seed)], 2).astype(np.uint8)
    pixels[10:40, 10 + 8 * seed : 40 + 8 * seed] = 250
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_several_pictures_are_dropped_and_each_gets_its_own_translation(opened, link, screen, scheme) -> None:
    page = opened(screen, scheme)
    page.keep("empty")
    names = ["first.png", "a second one with a rather long name that has to break somewhere.png", "third.tif"]
    formats = ["PNG", "PNG", "TIFF"]
    data = {name: picture(seed, format=format) for seed, (name, format) in enumerate(zip(names, formats, strict=True))}
    page.drop(*((name, "image/png", data[name]) for name in names), ("not a picture.txt", "text/plain", b"text"))
    for name in names:
        card = page.finished(name)
        suggested, found = page.download(card)
        assert suggested == name
        assert found == Client(link).convert(data[name], name, to="B").body
        before, after = card.locator("img.above"), card.locator("img.below")
        assert [before.evaluate("one => one.naturalWidth"), after.evaluate("one => one.naturalHeight")] == [120, 80]
    failed = page.card("not a picture.txt")
    failed.get_by_text("not an image of a supported kind").wait_for()
    assert page.page.get_by_role("status").inner_text() == "3 of 4 translated, 1 could not be."
    page.page.locator("summary").click()
    page.keep("done")
    assert not page.scrolls_sideways()
    assert page.page.get_by_text("Drop pictures here").is_visible() == (screen == "desk")
    assert [text for text in page.complaints if "415" not in text] == [], "a refusal is shown, and the console says so"


def test_the_line_is_drawn_by_pointer_and_by_keyboard(opened) -> None:
    page = opened()
    page.drop(("one.png", "image/png", picture(1)))
    card = page.finished("one.png")
    wipe = card.locator(".wipe")

    def shown() -> float:
        return float(wipe.evaluate("one => getComputedStyle(one).getPropertyValue('--at')").rstrip("%"))

    assert shown() == 50
    box = wipe.bounding_box()
    page.page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    assert abs(shown() - 25) < 2
    card.get_by_role("slider", name="How much of one.png is shown as it was before").focus()
    page.page.keyboard.press("End")
    assert shown() == 100
    page.page.keyboard.press("Home")
    assert shown() == 0
    assert page.complaints == []


def test_settings_are_sent_and_pictures_are_translated_again(opened, link) -> None:
    page, data = opened(), picture(2)
    page.choose("Translate to", "A")
    page.page.locator("summary").click()
    page.choose("Checkpoint", "2")
    page.choose("Translate at", "pixels")
    page.page.get_by_label("Pixels on the shorter side").fill("48")
    page.choose("Save as", "webp")
    page.page.locator("#files").set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": data})
    card = page.finished("x.png")
    client = Client(link)
    assert page.download(card) == (
        "x.webp",
        client.convert(data, model="run-cyclegan", to="A", checkpoint="2", size="48", format="webp").body,
    )
    page.choose("Model", "run-pix2pix")
    page.choose("Save as", "same")
    page.choose("Translate at", "native")
    card.get_by_role("button", name="Again").click()
    card.get_by_role("link", name="Download x.png").wait_for()
    assert page.download(card) == ("x.png", client.convert(data, model="run-pix2pix", size="native").body)
    card.get_by_role("button", name="Remove").click()
    assert card.count() == 0 and page.page.get_by_role("status").inner_text() == ""
    assert page.complaints == []


def test_attributes_are_chosen_one_by_one(opened, link) -> None:
    page, data = opened(), picture(1)
    page.choose("Model", "people")
    assert not page.select("Translate to").is_visible()
    page.choose("Blond", "Blond")
    page.choose("Male", "-Male")
    page.drop(("one.png", "image/png", data))
    found = page.download(page.finished("one.png"))[1]
    assert found == Client(link).convert(data, model="people", to=["Blond", "-Male"]).body
    assert page.card("one.png").get_by_text("to Blond, not Male; ").is_visible()
    page.keep("attributes")
    assert page.complaints == []


def test_a_picture_is_pasted_and_one_that_is_too_large_is_not_even_sent(opened) -> None:
    page = opened("phone")
    page.drop(("image.png", "image/png", picture(1)), kind="paste")
    page.finished("image.png")
    page.drop(("large.png", "image/png", bytes(400_000)))
    page.card("large.png").get_by_text("The file has 400 KB; at most 300 KB are taken.").wait_for()
    assert sum(url.endswith("/api/convert") for url in page.asked) == 1
    assert page.complaints == []


def test_everything_can_be_reached_and_is_named(opened) -> None:
    """By the keyboard, and for those who do not see the page."""
    page = opened()
    page.drop(("one.png", "image/png", picture(1)))
    page.finished("one.png")
    named = page.page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, a")].filter((one) => one.checkVisibility())
            .map((one) => [one.tabIndex, one.ariaLabel || one.labels?.[0]?.textContent || one.textContent])"""
    )
    assert len(named) >= 6 and all(index == 0 and text.strip() for index, text in named), named
    assert page.page.locator("img").evaluate_all("all => all.every((one) => one.alt)")
    assert page.page.locator("html").get_attribute("lang") == "en"
