"""Draws the data sets of the gallery: `python docs/gallery/draw.py NAME`, into the folder NAME. Nothing is downloaded.

styles: scenes flat (A) and outlined (B), unpaired; the tests show the same scenes. pairs: the same, in pairs.
colours: one scene with red, green or blue shapes, a folder each. glyphs: discs, rings, squares, crosses, triangles.
landscapes: label maps, and pictures painted of them.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from translate.data.synthetic.scenes import compose
from translate.data.synthetic.shapes import render_set

TIMES = 4  # drawn this many times larger, then made small: smooth edges
COLOURS = {"blue": (0.15, 0.35, 1.0), "green": (0.15, 0.85, 0.2), "red": (1.0, 0.2, 0.15)}
GLYPHS = ("cross", "disc", "ring", "square", "triangle")


def styles(folder: Path) -> None:
    render_set(folder, view="unpaired", size=48, train=300, test=12)


def pairs(folder: Path) -> None:
    render_set(folder, view="paired", size=64, train=300, test=12)


def colours(folder: Path) -> None:
    """Training images of a colour show scenes of their own; test images show the same scenes in each colour."""
    for number, name in enumerate(COLOURS):
        for scene in range(250):
            save(folder / "train" / name / f"{scene:03d}.png", coloured(scene + 1000 * number, name, 32))
        for scene in range(12):
            save(folder / "test" / name / f"{scene:03d}.png", coloured(scene + 9000, name, 32))


def coloured(scene_number: int, name: str, size: int) -> Image.Image:
    scene = compose(scene_number)
    points = np.stack(np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2), -1)
    picture = scene.ground(points)
    for shape in scene.shapes:
        inside = np.clip(shape.depth(points) * size + 0.5, 0, 1)[..., None]
        light = 0.5 + 0.5 * shape.fill.mean()
        picture += inside * (light * np.array(COLOURS[name]) - picture)
    return Image.fromarray(np.rint(picture.clip(0, 1) * 255).astype(np.uint8))


def glyphs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in GLYPHS:
        for number in range(300):
            split = "train" if number < 288 else "test"
            save(folder / split / name / f"{number:03d}.png", glyph(name, rng, 32))


def glyph(name: str, rng: np.random.Generator, size: int) -> Image.Image:
    picture = Image.new("L", (size * TIMES,) * 2)
    draw, side = ImageDraw.Draw(picture), size * TIMES
    r = side * rng.uniform(0.22, 0.36)
    x, y = side / 2 + rng.uniform(-0.1, 0.1, 2) * side
    box, wide = (x - r, y - r, x + r, y + r), r * 0.3
    if name == "cross":
        draw.rectangle((x - r, y - wide, x + r, y + wide), fill=255)
        draw.rectangle((x - wide, y - r, x + wide, y + r), fill=255)
    elif name == "disc":
        draw.ellipse(box, fill=255)
    elif name == "ring":
        draw.ellipse(box, outline=255, width=round(2 * wide))
    elif name == "square":
        draw.rectangle(box, fill=255)
    else:
        draw.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], fill=255)
    return picture.resize((size, size), Image.Resampling.BOX)


def landscapes(folder: Path) -> None:
    """Classes: 0 meadow, 1 sky, 2 sun, 3 wall, 4 roof, 5 tree."""
    for number in range(312):
        rng = np.random.default_rng(number)
        split, labels = ("train" if number < 300 else "test"), landscape(rng, 64)
        save(folder / "labels" / split / f"{number:03d}.png", labels)
        save(folder / "pictures" / split / f"{number:03d}.png", painted(np.asarray(labels), rng))


PALETTE = [96, 160, 64, 128, 192, 255, 255, 224, 64, 224, 208, 176, 176, 64, 48, 16, 96, 48]


def landscape(rng: np.random.Generator, size: int) -> Image.Image:
    picture = Image.new("P", (size, size), 1)
    picture.putpalette(PALETTE)
    draw = ImageDraw.Draw(picture)
    x, y, r = rng.uniform(6, size - 6), rng.uniform(6, 16), rng.uniform(4, 7)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=2)
    wave = rng.uniform(26, 36) + rng.uniform(2, 6) * np.sin(
        np.arange(size + 1) / rng.uniform(6, 14) + rng.uniform(0, 6)
    )
    draw.polygon([(0, size), *zip(range(size + 1), wave, strict=True), (size, size)], fill=0)
    for place in rng.permutation(3)[: rng.integers(1, 4)]:
        x, y, w = place * 21 + rng.uniform(1, 5), rng.uniform(44, 60), rng.uniform(12, 16)
        if rng.random() < 0.5:
            draw.rectangle((x, y - w * 0.8, x + w, y), fill=3)
            draw.polygon([(x - 2, y - w * 0.8), (x + w / 2, y - w * 1.5), (x + w + 2, y - w * 0.8)], fill=4)
        else:
            draw.rectangle((x + w / 2 - 1, y - w * 0.5, x + w / 2 + 1, y), fill=4)
            draw.ellipse((x, y - w * 1.6, x + w, y - w * 0.4), fill=5)
    return picture


def painted(labels: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """What the labels do not say is painted alike in all pictures: light from above, a little grain."""
    size = len(labels)
    height = np.linspace(0, 1, size)[:, None, None]
    base = np.array(PALETTE, float).reshape(-1, 3)[labels] / 255
    lines = 0.10 * ((np.arange(size) // 2) % 2)[:, None, None] * np.isin(labels, (3, 4))[..., None]
    sky = (labels == 1)[..., None] * 0.35 * height * 2
    shade = np.where((labels == 0)[..., None], 0.75 + 0.35 * height, 1.0)
    picture = (base - lines) * shade + sky * (1 - base)
    picture += rng.normal(0, 0.02, picture.shape)
    return Image.fromarray(np.rint(picture.clip(0, 1) * 255).astype(np.uint8))


def save(path: Path, picture: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


SETS: dict[str, Callable[[Path], None]] = {draw.__name__: draw for draw in (styles, pairs, colours, glyphs, landscapes)}

if __name__ == "__main__":
    for name in sys.argv[1:]:
        if not Path(name).exists():
            SETS[name](Path(name))
