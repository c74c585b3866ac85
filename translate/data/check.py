"""What `translate data check DIR` tells: what a folder holds, what is wrong with it, and what to do."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low

import numpy as np

from translate.data import images
from translate.data.columns import few
from translate.data.folders import Folder, recognise
from translate.data.images import Picture, shown
from translate.errors import ImageError

GLANCE = (8, 8)
ALIKE = 2.0
"""Root mean square difference, of 255. In horse2zebra copies saved anew stay below 1, all others above 8."""


@dataclass(frozen=True, eq=False)
class Facts:
    """What reading one file told."""

    path: Path
    size: tuple[int, int] = (0, 0)
    """(height, width), upright."""
    kind: str = ""
    flat: bool = False
    """One colour all over: instance normalisation has nothing to divide by."""
    digest: str = ""
    """SHA-256 of the file."""
    glance: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))
    """The image at 8 x 8 pixels, as 192 numbers."""
    error: str = ""


@dataclass(frozen=True)
class Report:
    """The result of `check`, in the words that are shown."""

    folder: Folder
    facts: tuple[str, ...]
    """What there is, whether right or wrong."""
    notes: tuple[str, ...]
    """What is worth knowing before training; it can be trained on all the same."""
    problems: tuple[str, ...]
    """What should be put right, each with what to do."""

    def lines(self) -> list[str]:
        verdict = f"problems found: {len(self.problems)}" if self.problems else "ready to train on"
        notes = [f"note: {note}" for note in self.notes]
        problems = [f"problem: {problem}" for problem in self.problems]
        return [*self.facts, *notes, *problems, f"{shown(self.folder.root)}: {verdict}"]


def check(root: Path) -> Report:
    """Reads every image below `root`. Raises ConfigurationError where there is no data set."""
    folder = recognise(root)
    groups = _groups(folder)
    every = sorted({path for paths in groups.values() for path in paths})
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        read = dict(zip(every, pool.map(_read, every), strict=True))
    facts, notes, problems = list(folder.found), [], list(folder.warnings)
    for name, paths in groups.items():
        sound = [read[path] for path in paths if not read[path].error]
        facts += [f"{name}: {line}" for line in _describe(sound)]
        notes += [f"{name}: {line}" for line in _remark(sound)]
    problems += _unreadable(read.values())
    notes += _repeated(groups, read)
    problems += _leaked(folder, read)
    problems += _unequal(folder, read)
    return Report(folder, tuple(facts), tuple(notes), tuple(problems))


def _groups(folder: Folder) -> dict[str, list[Path]]:
    """Files by "split domain"; a file that holds both halves of a pair is counted once."""
    groups: dict[str, list[Path]] = {}
    for split, columns in folder.splits.items():
        if columns[0] and columns[0][0].half:
            groups[f"{split} files"] = [source.path for source in columns[0]]
            continue
        for domain, column in zip(folder.domains, columns, strict=True):
            groups[f"{split} {domain}"] = [source.path for source in column]
    return groups


def _read(path: Path) -> Facts:
    try:
        data = images.read_bytes(path)
        picture = images.decode(data, path)
    except ImageError as error:
        return Facts(path, error=str(error))
    size = (picture.pixels.shape[0], picture.pixels.shape[1])
    flat = bool((picture.pixels == picture.pixels[0, 0]).all())
    glance = images.resize(images.with_channels(picture, 3), *GLANCE).ravel()
    if glance.dtype != np.uint8:
        glance = images.to_8_bits(glance)
    return Facts(path, size, _kind(picture), flat, hashlib.sha256(data).hexdigest(), glance)


def _kind(picture: Picture) -> str:
    colour = "grey" if picture.pixels.shape[2] == 1 else "RGB"
    alpha = " with alpha" if picture.alpha is not None else ""
    animated = ", animated (the first frame is used)" if picture.animated else ""
    return f"{picture.pixels.dtype.itemsize * 8}-bit {colour}{alpha}{animated}"


def _describe(sound: list[Facts]) -> list[str]:
    if not sound:
        return ["nothing readable"]
    sizes = Counter(facts.size for facts in sound)
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(f.kind for f in sound).most_common())
    if len(sizes) == 1:
        return [f"{len(sound)} of {_size(sound[0].size)}; {kinds}"]
    by_area = sorted((height * width, (height, width)) for height, width in sizes.elements())
    middle = median_low(by_area)
    smallest, largest = _size(by_area[0][1]), _size(by_area[-1][1])
    return [f"{len(sound)} of {smallest} to {largest}, median {_size(middle[1])}, {len(sizes)} sizes; {kinds}"]


def _remark(sound: list[Facts]) -> Iterable[str]:
    kinds = Counter(facts.kind for facts in sound)
    usual = kinds.most_common(1)[0][0] if kinds else ""
    if unusual := [facts.path for facts in sound if facts.kind != usual]:
        yield f"not {usual} as most are, and turned into the recipe's channels: {few(unusual)}"
    if odd := [facts.path for facts in sound if facts.size[0] % 4 or facts.size[1] % 4]:
        yield f"sides that are no multiple of 4, which are resized or padded: {few(odd)}"
    if flat := [facts.path for facts in sound if facts.flat]:
        yield f"one colour all over, nothing to learn from: {few(flat)}"


def _unreadable(read: Iterable[Facts]) -> list[str]:
    return [f"{facts.error}. Repair or remove it" for facts in read if facts.error]


def _repeated(groups: dict[str, list[Path]], read: dict[Path, Facts]) -> Iterable[str]:
    for name, paths in groups.items():
        first: dict[str, Path] = {}
        again = [p for p in paths if read[p].digest and first.setdefault(read[p].digest, p) != p]
        if again:
            yield f"{name}: {len(again)} files repeat another byte for byte, and weigh double: {few(again)}"


def _leaked(folder: Folder, read: dict[Path, Facts]) -> Iterable[str]:
    """Images trained on and measured on: the same file in any domain, or the same look in its own."""
    seen = {read[source.path].digest for column in folder.splits["train"] for source in column}
    for split, columns in folder.splits.items():
        if split == "train":
            continue
        leaked: set[Path] = set()
        for trained, column in zip(folder.splits["train"], columns, strict=True):
            paths = [source.path for source in column if read[source.path].digest]
            leaked |= {path for path in paths if read[path].digest in seen}
            leaked |= _alike(paths, [source.path for source in trained if read[source.path].digest], read)
        if leaked:
            listed = few(sorted(leaked))
            yield f"{split} images that are, or look like, training images; keep one of each: {listed}"


def _alike(paths: list[Path], others: list[Path], read: dict[Path, Facts]) -> set[Path]:
    """Those of `paths` that look like one of `others`, as a copy saved anew does; plain ones never do."""
    known = [read[path].glance for path in others if not read[path].flat]
    asked = [path for path in paths if not read[path].flat]
    if not known or not asked:
        return set()
    table = np.stack(known).astype(np.float32)
    squares = (table**2).sum(1)
    found = set()
    for path in asked:
        glance = read[path].glance.astype(np.float32)
        nearest = (squares - 2 * table @ glance).min() + glance @ glance
        if nearest <= ALIKE**2 * len(glance):
            found.add(path)
    return found


def _unequal(folder: Folder, read: dict[Path, Facts]) -> Iterable[str]:
    """Pairs that cannot lie on each other."""
    for split, columns in folder.splits.items() if folder.kind == "paired" else ():
        pairs = [[read[source.path] for source in pair] for pair in zip(*columns, strict=True)]
        unlike = [a.path for a, b in pairs if not (a.error or b.error) and _ratio(a) != _ratio(b)]
        if unlike:
            yield f"{split} pairs whose two images differ in proportions; crop them alike: {few(unlike)}"
        halves = {a.path for a, b in pairs if a.path == b.path and a.size[1] % 2}
        if halves:
            yield f"{split} pairs side by side of an odd width; crop a column: {few(sorted(halves))}"


def _ratio(facts: Facts) -> float:
    return round(facts.size[1] / facts.size[0], 2)


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
