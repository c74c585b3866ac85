"""The site: it builds without a warning, and its pages fit a phone, and ask for nothing outside of themselves."""

import shutil
import subprocess
import sys

import pytest
from documents import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = (
    "index", "start", "own-data", "faq", "methods", "gallery", "commands", "settings", "api", "plugins", "divergences",
    "many-runs", "label-maps", "contributing", "reliability",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("furo", reason="needs the extra [docs]")
    pytest.importorskip("sphinx_click", reason="needs the extra [docs]")
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(built)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return built


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium of the system")
@pytest.mark.parametrize("width", [390, 1280])
def test_each_page_fits_and_asks_for_nothing_outside(site, width):
    playwright = pytest.importorskip("playwright.sync_api")
    outside, wide = [], []
    with playwright.sync_playwright() as here:
        browser = here.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("request", lambda request: outside.append(request.url) if request.url[:5] != "file:" else None)
        for name in PAGES:
            page.goto((site / f"{name}.html").as_uri())
            needed = page.evaluate("document.documentElement.scrollWidth")
            wide += [(name, needed)] if needed > width else []
        browser.close()
    assert not [url for url in outside if not url.startswith("data:")]
    assert not wide
