"""Whether images of equal names show the same thing, by their proportions and contents."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from translate.data.io import images
from translate.errors import ImageError
from translate.utils.printing import shown

ASKED, ENOUGH = 32, 16
"""Pairs that are compared, and the fewest whose contents are compared."""
SIDE, SMALLEST = 64, 16
"""Images are compared at the size SIDE; those below SMALLEST say too little."""
CHANCE = 0.65
"""Least share of comparisons in which an image is more like its partner than like another one's. By chance it is half,
.42 to .59 in horse2zebra, faces and shuffled facades; of facades' own pairs, street scenes and nuclei .93 to 1."""
Pair = tuple[Path, Path]
Found = TypeVar("Found")


def no_pairs(pairs: Sequence[Pair]) -> str:
    """Returns why images of equal names are no pairs, or "" if nothing speaks against it."""
    sample = [pairs[i] for i in np.unique(np.linspace(0, len(pairs) - 1, ASKED).astype(int))] if pairs else []
    sizes = [(pair, size) for pair in sample if (size := _of_both(images.dimensions, pair))]
    unlike = [(pair, size) for pair, size in sizes if not _proportional(*size)]
    if 2 * len(unlike) > len(sizes):
        (a, b), ((high, wide), (other_high, other_wide)) = unlike[0]
        return (
            f"most differ in proportions, as {shown(a)} ({wide} x {high}) and "
            f"{shown(b.name)} ({other_wide} x {other_high})"
        )
    large = [pair for pair, size in sizes if min(map(min, size)) >= SMALLEST]
    features = [both for pair in large if (both := _of_both(_features, pair))] if len(large) >= ENOUGH else []
    if len(features) >= ENOUGH and _closer(features) < CHANCE:
        return f"what they show is no more alike than by chance, as {shown(large[0][0])} and its namesake"
    return ""


def _of_both(read: Callable[[Path], Found], pair: Pair) -> tuple[Found, Found] | None:
    try:
        return read(pair[0]), read(pair[1])
    except ImageError:  # reported by name when the image is read
        return None


def _proportional(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Returns whether two sizes (height, width) agree in proportions, up to a rounded pixel and some cropping."""
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) < 0.05 + 1 / min(*a, *b)


def _features(path: Path) -> np.ndarray:
    """Returns shades, edges and faint edges (3, SIDE * SIDE), of mean 0 and length 1: products are correlations."""
    picture = images.display_bands(images.decode(images.read_bytes(path), path, span=None))
    pixels = images.resize(images.with_channels(picture, 3), SIDE, SIDE).astype(np.float64)
    down, across = np.gradient(pixels, axis=(0, 1))
    edges = np.hypot(down, across).max(-1)
    faint = edges.clip(max=3 * np.median(edges) + edges.max() / 255)
    planes = np.stack([pixels.mean(-1).ravel(), edges.ravel(), faint.ravel()])
    planes -= planes.mean(1, keepdims=True)
    return planes / np.maximum(np.linalg.norm(planes, axis=1, keepdims=True), 1e-9)


def _closer(features: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Returns how often an image is more like its partner than like another one's, ties counting half."""
    a, b = (np.stack(column) for column in zip(*features, strict=True))
    shades, edges, faint = (a[:, kind] @ b[:, kind].T for kind in range(3))
    likeness = np.abs(shades) + edges + faint  # a target may be dark where its input is bright
    likeness -= likeness.mean(0) + likeness.mean(1, keepdims=True)  # some images are like all others
    own, others = np.diag(likeness)[:, None], ~np.eye(len(a), dtype=bool)
    wins = [(own > table) + 0.5 * (own == table) for table in (likeness, likeness.T)]
    return float(np.mean([won[others].mean() for won in wins]))
