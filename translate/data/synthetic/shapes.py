"""The `shapes` set: the same scenes drawn in several styles, so that the true translation is known.

Styles draw light and shade along the edges of the shapes, and nothing else: ground, positions and fills are the same
in every style. The styles are designed so that translations can be measured:

- What a style draws depends only on the nearest edge, so that any style can be computed from any other within a small
  neighbourhood; nothing is random, clipped or hidden.
- Every style draws as much light as shade, so that the mean colour does not reveal the style, and no mapping of colours
  comes close to the true translation.

In pairs, `classes` stands for the scenes' label maps: ground 0, triangle 1, square 2, disc or ellipse 3.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from translate.data.catalog.description import FILE_NAME
from translate.data.io.images import Picture, write
from translate.data.synthetic.palettes import drawn_palette, in_palette
from translate.data.synthetic.scenes import Array, Scene, compose
from translate.errors import ConfigurationError, nearest
from translate.utils.atomic_files import clear_leftovers, hidden_folder
from translate.utils.printing import shown

View = Literal["unpaired", "paired", "labelled"]
DRAWING = 1  # increase when scenes come to look different, so that old folders are refused
SCENES_OF_A_SEED = 10_000_000


@dataclass(frozen=True)
class Band:
    """Mixes depths from `start` to `stop` (fractions of the picture's side) with white by `tone`, or with black by
    `-tone`. `lit` multiplies the tone by the cosine between edge normal and light, as on a bevelled rim.
    """

    start: float
    stop: float
    tone: float
    lit: bool = False


LIGHT = np.array([-0.6, -0.8])  # from the upper left
STROKE = 0.045  # line width: 2.9 pixels of 64
TONE = 0.7
# Where needed, one band of a style is sized so that light and shade balance over many scenes.
BANDS: dict[str, tuple[Band, ...]] = {
    "flat": (),
    "outlined": (Band(0, STROKE, -TONE), Band(STROKE, 2.1 * STROKE, TONE)),
    "banded": (
        Band(0.6 * STROKE, 1.3 * STROKE, TONE),
        Band(1.3 * STROKE, 2 * STROKE, -TONE),
        Band(2 * STROKE, 2.7 * STROKE, TONE),
        Band(2.7 * STROKE, 3.72 * STROKE, -TONE),
    ),
    "haloed": (Band(-0.93 * STROKE, 0, TONE), Band(0, STROKE, -TONE)),
    "embossed": (Band(0, 1.6 * STROKE, 0.9, lit=True),),
}
STYLES: tuple[str, ...] = tuple(BANDS)
DEFAULT_PAIR = ("flat", "outlined")
CLASSES = "classes"
CLASS_OF_EDGES = {3: 1, 4: 2, 64: 3}


def render(scene_seed: int, style: str, size: int, palettes: int = 0) -> Array:
    """Renders a scene, antialiased: (size, size, 3) uint8; in one of so many palettes of the style, if there are any.
    Of `CLASSES` its label map, (size, size, 1). Raises ValueError for arguments out of range."""
    if style not in (*STYLES, CLASSES) or size < 1 or scene_seed < 0:
        raise ValueError(f"no scene {scene_seed} in '{style}' at {size} px; styles are {', '.join(STYLES)}")
    scene = compose(scene_seed)
    if style == CLASSES:
        return label_map(scene, size)
    if palettes:
        scene = in_palette(scene, style, palettes, drawn_palette(scene_seed, style, palettes))
    return draw(scene, style, size)


def label_map(scene: Scene, size: int) -> Array:
    """What each pixel's centre lies in: (size, size, 1) uint8."""
    points, classes = _centres(size), np.zeros((size, size, 1), np.uint8)
    for shape in scene.shapes:
        classes[shape.depth(points) > 0] = CLASS_OF_EDGES[len(shape.reach)]
    return classes


def draw(scene: Scene, style: str, size: int) -> Array:
    """Draws a scene in a style, antialiased: (size, size, 3) uint8."""
    points = _centres(size)
    picture = scene.ground(points)
    for shape in scene.shapes:
        depth = shape.depth(points)
        picture = _mix(picture, shape.fill, _between(depth, 0, np.inf, size))
        for band in BANDS[style]:
            tone = band.tone * (shape.normal(points) @ LIGHT if band.lit else 1.0)
            share = np.abs(tone) * _between(depth, band.start, band.stop, size)
            picture = _mix(picture, np.where(tone > 0, 1.0, 0.0)[..., None], share)
    return np.rint(picture * 255).astype(np.uint8)


def render_set(
    folder: Path,
    *,
    view: View,
    styles: tuple[str, ...] = DEFAULT_PAIR,
    size: int = 64,
    train: int = 400,
    test: int = 64,
    seed: int = 0,
    pairs: int = 0,
    palettes: int = 0,
) -> Path:
    """Renders `train` and `test` pictures of each style into `folder`, an ordinary data set, and returns it.

    `unpaired`: trainA and trainB show different scenes, but for the first `pairs`; testA and testB the same. `paired`:
    every scene in both styles, one of which may be `CLASSES`.
    `labelled`: train/<style> show different scenes, test/<style> the same, for any number of styles. No scene is in
    both train and test. With `palettes`, of which each style has so many, a scene has no one true translation.
    The folder appears once complete. An existing one is returned if it was rendered from the same settings.
    Raises ConfigurationError if it was not, or for invalid settings.
    """
    _check(view, styles, size, train, test, seed)
    if pairs >= train or (pairs and view != "unpaired"):
        raise ConfigurationError(f"shapes: {pairs} pairs: fewer than the {train} to train on, of an unpaired set")
    if palettes and view == "paired":
        raise ConfigurationError("shapes: with palettes no scene has one true translation: set data.shapes.palettes=0")
    if palettes and pairs:
        raise ConfigurationError("shapes: with palettes no scene has one true translation: set data.shapes.pairs=0")

    def pictures() -> Iterator[tuple[Path, Array]]:
        for path, scene, style in _plan(view, styles, train, test, seed, pairs):
            yield path, render(scene, style, size, palettes)

    return written_once(folder, _describe(view, styles, size, train, test, seed, pairs, palettes), pictures())


def written_once(folder: Path, description: str, pictures: Iterable[tuple[Path, Array]]) -> Path:
    """Writes pictures, by their paths in `folder`, which appears once complete, and returns it; one that is there is
    taken if its description is the same. Raises ConfigurationError if it is not."""
    if folder.exists():
        expect(folder, description)
        return folder
    clear_leftovers(folder.parent)
    with hidden_folder(folder) as whole:
        for path, pixels in pictures:
            (whole / path.parent).mkdir(parents=True, exist_ok=True)
            write(whole / path, Picture(pixels))
        (whole / FILE_NAME).write_text(description, encoding="utf-8")
        try:
            whole.rename(folder)
        except OSError:  # another process was faster
            expect(folder, description)
    return folder


def _centres(size: int) -> Array:
    """Of pixels, (size, size, 2): x, y."""
    centres = (np.arange(size) + 0.5) / size
    return np.stack(np.meshgrid(centres, centres), -1)


def _between(depth: Array, start: float, stop: float, size: int) -> Array:
    """Returns the share (0..1) of each pixel that lies between the two depths."""
    return np.clip((depth - start) * size + 0.5, 0, 1) - np.clip((depth - stop) * size + 0.5, 0, 1)


def _mix(picture: Array, colour: Array, share: Array) -> Array:
    return picture + share[..., None] * (colour - picture)


def _plan(
    view: View, styles: tuple[str, ...], train: int, test: int, seed: int, pairs: int
) -> Iterator[tuple[Path, int, str]]:
    """Yields each picture's path, scene number and style."""
    first = seed * SCENES_OF_A_SEED
    tested = first + train * len(styles)
    for domain, style in enumerate(styles):
        trained = first if view == "paired" else first + domain * train
        own = [*range(first, first + pairs), *range(trained + pairs, trained + train)]
        for split, scenes in (("train", own), ("test", range(tested, tested + test))):
            parent = Path(split, style) if view == "labelled" else Path(split + "AB"[domain])
            for scene in scenes:
                yield parent / f"{scene - first:05d}.png", scene, style


def _describe(
    view: View, styles: tuple[str, ...], size: int, train: int, test: int, seed: int, pairs: int, palettes: int
) -> str:
    """Returns the text of dataset.yaml; its title contains everything that the rendering depends on."""
    trained = f"{train} to train on{f', {pairs} of them pairs,' if pairs else ''} and {test} to test"
    numbers = f"{size} px, {trained} in each, seed {seed}, drawing {DRAWING}"
    numbers += f", {palettes} palettes each" if palettes else ""
    lines = ["name: shapes", f'title: "{view} scenes in {", ".join(styles)}: {numbers}"']
    lines += [f"layout: {view}", f"domains: [{', '.join(styles)}]"]
    if view != "paired" and not palettes:
        lines += ["test_paired: true"]
    return "\n".join(lines) + "\n"


def expect(folder: Path, description: str) -> None:
    """Raises ConfigurationError unless the folder was rendered from the same settings."""
    file = folder / FILE_NAME
    found = file.read_text(encoding="utf-8") if file.is_file() else f"no {FILE_NAME}\n"
    if found != description:
        raise ConfigurationError(
            f"{shown(folder)}: this folder is in the way: remove it, or choose another\n"
            f"It holds:\n{found}It was to hold:\n{description}"
        )


def _check(view: View, styles: tuple[str, ...], size: int, train: int, test: int, seed: int) -> None:
    for style in styles:
        if style not in STYLES and (view, style) != ("paired", CLASSES):
            raise ConfigurationError(f"shapes: no style '{style}'{nearest(style, STYLES)}")
    if len(set(styles)) != len(styles) or len(styles) < 2 or (view != "labelled" and len(styles) > 2):
        wanted = "two or more different styles" if view == "labelled" else "two different styles"
        raise ConfigurationError(f"shapes: {view} sets have {wanted}, not {', '.join(styles) or 'none'}")
    if not 32 <= size <= 256:
        raise ConfigurationError(f"shapes: pictures have 32 to 256 pixels a side, not {size}")
    if train < 1 or test < 1 or train * len(styles) + test > SCENES_OF_A_SEED:
        numbers = f"train {train} and test {test}"
        raise ConfigurationError(f"shapes: {numbers}: at least 1, and {SCENES_OF_A_SEED:,} scenes in all")
    if seed < 0:
        raise ConfigurationError(f"shapes: the seed is 0 or more, not {seed}")
