"""Makes the pictures of the gallery: runs the commands of docs/gallery.md as they stand there, and lays out the images.

`python docs/gallery/make.py [NAME ...]` works in the folder `gallery` and writes docs/pictures/gallery/NAME.webp.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from translate.reporting.grids import pictures_in

DOCS = Path(__file__).resolve().parents[1]
PICTURES = DOCS / "pictures" / "gallery"
SECTION = re.compile(r"^### (\S+)\n.*?^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TILE, GAP, COLUMNS, WHITE = 96, 4, 6, (255, 255, 255)
ROWS = {  # inputs, translations, truth: files of the same names
    "pix2pix": ("pairs/testA", "out/pix2pix", "pairs/testB"),
    "landscapes": ("landscapes/labels/test", "out/landscapes", "landscapes/pictures/test"),
    "cyclegan": ("styles/testA", "out/cyclegan", "styles/testB"),
    "direct": ("styles/testA", "out/direct", "styles/testB"),
    "cut": ("styles/testA", "out/cut", "styles/testB"),
    "unit": ("colours/test/green", "out/unit", "colours/test/red"),
    "stargan": ("colours/test/blue", "out/stargan", "colours/test/red"),
}
GRIDS = {  # columns of the last grid of a run whose translations are not written as files
    "bridge": ("input", "1 step", "target"),
    "oasis": ("input", "output 1", "output 2", "target"),
    "denoise": ("input", "output", "target"),
    "super-resolution": ("bicubic", "output", "target"),
    "colorize": ("input", "output", "target"),
}


def commands() -> dict[str, list[list[str]]]:
    """The words of each command line, by the name of its picture."""
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    return {
        name: [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]
        for name, block in SECTION.findall(page)
    }


def run(words: list[str], place: Path) -> None:
    """Runs a command of the page in `place`, whose training has a folder of the page's own name."""
    if words[0] == "python":
        words = [sys.executable, str(DOCS.parent / words[1]), *words[2:]]
    else:
        words = [sys.executable, "-m", "translate", *words[1:]]
        words += ["--wandb", "disabled", "--quiet"] if words[3] == "train" else ["--overwrite"]
    subprocess.run(words, cwd=place, check=True)


def picture(name: str, place: Path) -> Image.Image:
    """What the gallery shows of a run: rows of translations, a sheet of samples, or the run's own last grid."""
    if name in ROWS:
        return sheet([opened(sorted((place / folder).glob("*.png"))[:COLUMNS]) for folder in ROWS[name]])
    if samples := opened(sorted((place / "out" / name).rglob("*.png"))):
        return sheet([samples[0::2], samples[1::2]])  # classes come one after another: each has columns of its own
    grid = sorted((place / "runs" / name / "samples").glob("*.png"))[-1]
    if name in GRIDS:
        return sheet([pictures_in(grid)[column][:COLUMNS] for column in GRIDS[name]])
    return Image.open(grid).convert("RGB")


def opened(paths: list[Path]) -> list[Image.Image]:
    return [Image.open(path) for path in paths]


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    step = TILE + GAP
    whole = Image.new("RGB", (step * max(map(len, rows)) - GAP, step * len(rows) - GAP), WHITE)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            tile = image.convert("RGB").resize((TILE, TILE), Image.Resampling.NEAREST)
            whole.paste(tile, (x * step, y * step))
    return whole


def make(name: str, place: Path, pictures: Path = PICTURES) -> None:
    place.mkdir(exist_ok=True)
    pictures.mkdir(exist_ok=True)
    shutil.rmtree(place / "runs" / name, ignore_errors=True)
    for words in commands()[name]:
        run(words, place)
    picture(name, place).save(pictures / f"{name}.webp", quality=85, method=6)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or commands():
        make(wanted, Path("gallery"))
