"""The page of `translate watch` in a real browser, during a real training: numbers move, samples come, it saves, stops.

TRANSLATE_SCREENSHOTS names a folder for pictures of it, to be looked at.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
from patience import PATIENCE
from serving import watched
from test_serving_page import CHROMIUM, SCREENS, browser  # noqa: F401 (a fixture)
from test_watching import make, rows

import translate
from translate.recipe import parse_recipe
from translate.training.checkpoint import saved_steps
from translate.training.trainer import Trainer
from translate.utils.signals import Interrupted

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
NAME = "a <b>run</b> ünï".replace("/", "")


class Page:
    """An opened page, and all that it asked for and complained about."""

    def __init__(self, browser: Any, link: str, screen: str, scheme: str = "light") -> None:  # noqa: F811
        width, height = SCREENS[screen]
        phone = screen == "phone"
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=phone, is_mobile=phone
        )
        self.page, self.name = self.context.new_page(), f"watch-{screen}-{scheme}"
        self.page.set_default_timeout(PATIENCE * 1000)
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "request", lambda one: one.url.startswith((link, "data:")) or self.complaints.append(f"asked {one.url}")
        )
        self.page.goto(link)

    def waits(self, condition: str) -> Any:
        """What the expression gives at last; Playwright's own waiting needs eval, which the page forbids."""
        deadline = time.monotonic() + PATIENCE
        while not (found := self.page.evaluate(condition)):
            assert time.monotonic() < deadline, condition
            self.page.wait_for_timeout(50)
        return found

    def keep(self, moment: str) -> None:
        if folder := os.environ.get("TRANSLATE_SCREENSHOTS"):
            self.page.screenshot(path=f"{folder}/{self.name}-{moment}.png", full_page=True)

    def fits(self) -> bool:
        return not self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a run that trains until it is asked to stop."""
    data = {"set": "shapes", "size": 32, "load_size": 36, "workers": 0, "shapes": {"train": 4, "test": 2}}
    steps = {"steps": 100_000, "log_every": 1, "sample_every": 20, "validate_every": 20, "checkpoint_every": 100_000}
    values = {"name": "tiny", "model": tiny.TINY["pix2pix"], "data": data, "training": tiny.TINY_TRAINING | steps}
    recipe, run = parse_recipe(json.loads(json.dumps(values)), "tiny"), tmp_path / "runs" / NAME
    ended, step = threading.Event(), Trainer.step

    def stepped(self: Trainer, *args: Any, **how: Any) -> Any:
        time.sleep(0.02)  # leaves the machine to the page
        if ended.is_set():
            raise RuntimeError("the test is over")
        return step(self, *args, **how)

    monkeypatch.setattr(Trainer, "step", stepped)
    raised: list[BaseException] = []

    def train() -> None:
        try:
            translate.train(recipe, out=run, device="cpu", tracking="disabled", quiet=True)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    yield run
    ended.set()
    thread.join()
    assert len(raised) == 1 and isinstance(raised[0], Interrupted), raised


def test_a_training_is_followed_saved_and_stopped(training: Path, browser: Any) -> None:  # noqa: F811
    (training.parent).mkdir(exist_ok=True)
    with watched(training.parent) as server:
        page = Page(browser, server.link, "desk")
        step = "Number(document.querySelector('#steps').textContent.replaceAll(',', '').match(/\\d+/)?.[0] || 0)"
        first = page.waits(f"{step} > 2 && {step}")
        page.waits(f"{step} > {first}")
        page.waits("document.querySelectorAll('#charts svg').length >= 3")
        assert page.page.locator("#pill").inner_text() == "training"
        assert page.page.locator("#name").inner_text() == NAME
        page.page.locator(".wipe canvas").first.wait_for()
        samples = page.waits("Number(document.querySelector('#when').max)")
        page.waits(f"Number(document.querySelector('#when').max) > {samples}")
        page.waits("document.querySelector('#when').value === document.querySelector('#when').max")
        tile = page.page.locator(".wipe").first
        box = tile.bounding_box()
        page.page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
        at = tile.evaluate("one => getComputedStyle(one).getPropertyValue('--at')")
        assert abs(float(at.rstrip("%")) - 25) < 3
        page.page.locator("#when").fill("0")
        page.waits("document.querySelector('#at').textContent === 'step 0'")
        page.page.get_by_role("combobox", name="Show").select_option("beside")
        page.page.locator("#shown figure canvas").first.wait_for()
        page.page.get_by_role("combobox", name="Show").select_option("grid")
        page.page.locator("#shown img").wait_for()

        page.page.get_by_role("button", name="Save a checkpoint").click()
        page.waits("[...document.querySelectorAll('#facts dd')].some((one) => /^step \\d/.test(one.textContent))")
        assert saved_steps(training / "checkpoints")
        page.page.get_by_role("combobox", name="Show").select_option("wipe")
        page.keep("training")
        page.page.get_by_role("button", name="Stop").click()
        page.page.get_by_role("button", name="Save and stop it?").click()
        page.waits("document.querySelector('#pill').textContent === 'stopped'")
        assert "asked to stop" in page.page.locator("#why").inner_text()
        assert page.page.get_by_role("button", name="Stop").is_disabled()
        page.keep("stopped")
        assert page.fits() and page.complaints == []
        page.context.close()


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_many_runs_stand_side_by_side(tmp_path: Path, browser: Any, screen: str, scheme: str) -> None:  # noqa: F811
    long = "a-rather-long-name-that-has-to-break-somewhere" * 2
    for number, name in enumerate(["<img src=x onerror=alert(1)>", long, *(f"run-{one}" for one in range(6))]):
        values = {"generator/l1": 0.5, "generator/adversarial": 60 + number, "learning_rate/generator": 2e-5}
        metrics = rows(*range(1, 20), **values) + rows(20, **{"validation/to_b/l1": 0.01 * number})
        make(tmp_path / name, metrics, (0, 10, 20), state="ended", step=20, total=20)
    failed = make(tmp_path / "failed", rows(1), state="failed", step=1, total=20, why="there was no memory left")
    (failed / "doctor.jsonl").write_text(
        json.dumps({"kind": "the colours are inverted", "step": 500, "measure": "m", "value": -0.8, "remedy": "Again"})
        + "\nbroken\n"
    )
    with watched(tmp_path) as server:
        page = Page(browser, server.link, screen, scheme)
        page.waits("document.querySelectorAll('.run').length === 9 && document.querySelector('#charts svg')")
        page.page.locator(".run", has_text="<img src=x").click()
        page.page.locator("#name", has_text="<img src=x").wait_for()
        page.page.locator(".wipe canvas").first.wait_for()
        page.keep("many")
        assert page.fits()
        page.page.get_by_role("searchbox").fill("FAILED")
        assert page.page.locator(".run:visible").count() == 1
        page.page.locator(".run:visible").click()
        page.page.locator("#why", has_text="no memory left").wait_for()
        page.page.locator("#findings", has_text="colours are inverted").wait_for(state="hidden")
        page.page.locator("#troubles", has_text="doctor.jsonl").wait_for()
        assert page.fits() and page.complaints == []
        named = page.page.evaluate(
            """() => [...document.querySelectorAll("input, select, button")].filter((one) => one.checkVisibility())
                .map((one) => one.ariaLabel || one.labels?.[0]?.textContent || one.textContent)"""
        )
        assert len(named) >= 4 and all(text.strip() for text in named), named
        page.context.close()


def test_a_page_finds_its_server_again(tmp_path: Path, browser: Any) -> None:  # noqa: F811
    make(tmp_path / "run", rows(1), state="ended", step=1, total=1)
    with watched(tmp_path) as server:
        page = Page(browser, server.link, "desk")
        page.waits("document.querySelector('#link').textContent === 'live'")
        port = int(server.link.rstrip("/").rpartition(":")[2])
    page.waits("document.querySelector('#link').className === 'lost'")
    with watched(tmp_path, port=port):
        page.waits("document.querySelector('#link').textContent === 'live'")
    page.context.close()
