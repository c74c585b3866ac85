"""Moving scenes of the `shapes` set: shapes that move, turn and bounce off the edges; the true film is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from translate.data.synthetic.scenes import CELLS, OUTLINES, Array, Scene, Shape
from translate.data.synthetic.shapes import SCENES_OF_A_SEED, STYLES, draw, written_once
from translate.errors import ConfigurationError, nearest

FILMING = 1  # increase when films come to look different, so that old folders are refused
FEWEST, MOST = 2, 3  # shapes per scene
LOW, HIGH = 0.12, 0.88  # where centres turn round
SLOWEST, FASTEST = 0.012, 0.035  # of the picture's side in a frame: 0.8 to 2.2 pixels of 64
TURN = 0.12  # radians a frame at most


@dataclass(frozen=True)
class Mover:
    """A convex shape on its way. `angles` and `reach` are its outline's about its centre; one unit of time is a frame,
    and lengths are fractions of the picture's side."""

    angles: Array
    reach: Array
    fill: Array
    start: Array  # (2,) the centre at time 0
    velocity: Array  # (2,)
    turn: float

    def centre(self, time: float) -> Array:
        """Where the centre is, (2,): on a straight line between the edges, off which it bounces without loss."""
        span = HIGH - LOW
        way = np.mod(self.start + self.velocity * time - LOW, 2 * span)
        return LOW + np.minimum(way, 2 * span - way)

    def at(self, time: float) -> Shape:
        """The shape at that time."""
        angles = self.angles + self.turn * time
        normals = np.stack([np.cos(angles), np.sin(angles)], -1)
        return Shape(normals, self.reach + normals @ self.centre(time), self.fill)


@dataclass(frozen=True)
class Film:
    """What moves before a ground that stays; of two shapes that meet, the later one is in front."""

    movers: tuple[Mover, ...]
    ground: Scene

    def scene(self, time: float) -> Scene:
        """The scene at that time, of frame number `time` if it is whole."""
        return Scene(tuple(mover.at(time) for mover in self.movers), self.ground.noise, self.ground.tint)


def compose_film(number: int) -> Film:
    """Generates film `number`."""
    rng = np.random.default_rng([number, 0xF117])
    noise = tuple(rng.random((cells + 1, cells + 1)) for cells in CELLS)
    ground = Scene((), noise, 0.5 + rng.uniform(-0.03, 0.03, 3))
    return Film(tuple(_throw(rng) for _ in range(rng.integers(FEWEST, MOST + 1))), ground)


def _throw(rng: np.random.Generator) -> Mover:
    angles, reach = OUTLINES[rng.integers(len(OUTLINES))](rng)
    way, speed = rng.uniform(0, 2 * np.pi), rng.uniform(SLOWEST, FASTEST)
    hue = rng.uniform(0, 2 * np.pi) + np.array([0, 2, 4]) * np.pi / 3
    return Mover(
        angles=angles + rng.uniform(0, 2 * np.pi),
        reach=rng.uniform(0.1, 0.2) * reach,
        fill=rng.uniform(0.42, 0.58) + 0.32 * np.cos(hue),
        start=rng.uniform(LOW, HIGH, 2),
        velocity=speed * np.array([np.cos(way), np.sin(way)]),
        turn=float(rng.uniform(-TURN, TURN)),
    )


def render_film(number: int, style: str, size: int, length: int) -> Iterator[Array]:
    """Renders the frames of a film, each (size, size, 3), uint8. Raises ValueError for arguments out of range."""
    if number < 0 or length < 1:
        raise ValueError(f"no film {number} of {length} frames")
    film = compose_film(number)
    for time in range(length):
        yield draw(film.scene(time), style, size)


def render_clips(
    folder: Path,
    *,
    style: str = "flat",
    size: int = 64,
    length: int = 24,
    train: int = 400,
    test: int = 64,
    seed: int = 0,
) -> Path:
    """Renders `train` and `test` clips of `length` frames into `folder`, as train/00000/0000.png and so on, and returns
    it. No film is in both.

    The folder appears once complete. An existing one is returned if it was rendered from the same settings.
    Raises ConfigurationError if it was not, or for invalid settings.
    """
    _check(style, size, train, test)
    title = (
        f"clips of moving scenes in {style}: {size} px, {train} to train on and {test} to test, {length} frames each"
    )
    description = f'name: shapes\ntitle: "{title}, seed {seed}, filming {FILMING}"\n'

    def frames() -> Iterator[tuple[Path, Array]]:
        first = seed * SCENES_OF_A_SEED
        for split, start, count in (("train", 0, train), ("test", train, test)):
            for number in range(start, start + count):
                for time, pixels in enumerate(render_film(first + number, style, size, length)):
                    yield Path(split, f"{number:05d}", f"{time:04d}.png"), pixels

    return written_once(folder, description, frames())


def _check(style: str, size: int, train: int, test: int) -> None:
    if style not in STYLES:
        raise ConfigurationError(f"shapes: no style '{style}'{nearest(style, STYLES)}")
    if not 32 <= size <= 256:
        raise ConfigurationError(f"shapes: pictures have 32 to 256 pixels a side, not {size}")
    if train + test > SCENES_OF_A_SEED:
        raise ConfigurationError(f"shapes: train {train} and test {test}: at most {SCENES_OF_A_SEED:,} films in all")
