"""Finds which folders below a root hold which domain and split, from folder names and a check of image shapes."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from translate.data.columns import few
from translate.data.images import dimensions, shown
from translate.data.listing import SUFFIXES, iterate_images, scan, unread
from translate.errors import ConfigurationError, ImageError

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
WHOLE = "whole"
"""Split name of images that are not split."""
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
LOOKED_FOR = (
    "trainA/ trainB/ (testA/ testB/); A/train B/train; train/A train/B; "
    "train/ (test/, val/) with pairs side by side in one file; or two folders of images"
)


@dataclass(frozen=True)
class Layout:
    """The folders of a data set, before its images are read."""

    places: dict[str, tuple[Path, ...]]
    """Folders by split: one per domain, or a single one of side-by-side pairs."""
    names: tuple[str, str] | None
    """Domain names taken from the folders; None if they are A and B, or missing."""
    warnings: tuple[str, ...] = ()

    @property
    def side_by_side(self) -> bool:
        return all(len(folders) == 1 for folders in self.places.values())


def recognise(root: Path) -> Layout:
    """Finds the layout below `root`. Raises ConfigurationError that says what was expected and what is there."""
    require_folder(root)
    attempts = (_letters, _domains_of_splits, _splits_of_domains, _side_by_side, _two_folders)
    for attempt in attempts:
        layout = attempt(root)
        if layout:
            places = [folder for folders in layout.places.values() for folder in folders]
            return replace(layout, warnings=(*layout.warnings, *left_out(root, places)))
    others: Counter[str] = Counter()
    deque(iterate_images(root, others=others), maxlen=0)
    there = "; ".join([contents(root), *filter(None, [unread(others)])])
    raise ConfigurationError(f"{shown(root)}: no data set here. Looked for: {LOOKED_FOR}. Found: {there}.{_hint(root)}")


def _letters(root: Path) -> Layout | None:
    """trainA/ trainB/ testA/ testB/, also train_A/."""
    places: dict[str, dict[str, Path]] = {}
    for folder in folders_in(root):
        match = re.fullmatch(r"([a-z]+?)_?([ab])", folder.name.lower())
        if match and match[1] in SPLITS:
            places.setdefault(SPLITS[match[1]], {})[match[2]] = folder
    return _complete(root, places, ("a", "b"), None) if places else None


def _splits_of_domains(root: Path) -> Layout | None:
    """A/train B/train."""
    splits = {domain: splits_in(domain) for domain in folders_in(root)}
    splits = {domain: found for domain, found in splits.items() if "train" in found}
    if len(splits) < 2:
        return None
    domains = _two(root, list(splits), "a train/ folder")
    places: dict[str, dict[str, Path]] = {}
    for domain in domains:
        for split, folder in splits[domain].items():
            places.setdefault(split, {})[domain.name] = folder
    names = (domains[0].name, domains[1].name)
    return _complete(root, places, names, _spoken(names))


def _domains_of_splits(root: Path) -> Layout | None:
    """train/A train/B."""
    splits = splits_in(root)
    if "train" not in splits or files_in(splits["train"]):
        return None
    holding = [folder for folder in folders_in(splits["train"]) if scan(folder)[0]]
    if not holding:
        return None
    domains = _two(splits["train"], holding, "images")
    names = (domains[0].name, domains[1].name)
    places = {split: {f.name: f for f in folders_in(folder)} for split, folder in splits.items()}
    return _complete(root, places, names, _spoken(names))


def _side_by_side(root: Path) -> Layout | None:
    """train/ val/ test/ with two images in each file, or such files directly in `root`."""
    splits = {split: folder for split, folder in splits_in(root).items() if files_in(folder)}
    if "train" in splits:
        for folder in splits.values():
            _require_double_width(folder)
        return Layout({split: (folder,) for split, folder in splits.items()}, None)
    if splits or not files_in(root):
        return None
    _require_double_width(root)
    return Layout({WHOLE: (root,)}, None)


def _two_folders(root: Path) -> Layout | None:
    """Two folders of images, with any names."""
    holding = [f for f in folders_in(root) if f.name.lower() not in SPLITS and scan(f)[0]]
    if not holding:
        return None
    a, b = _two(root, holding, "images")
    return Layout({WHOLE: (a, b)}, _spoken((a.name, b.name)))


def _complete(
    root: Path, places: dict[str, dict[str, Path]], keys: tuple[str, str], names: tuple[str, str] | None
) -> Layout:
    """Builds a layout of the splits that have both domains; warns of others.

    Raises ConfigurationError if the training split lacks a domain.
    """
    whole: dict[str, tuple[Path, ...]] = {}
    warnings = []
    for split, folders in places.items():
        found = [key for key in keys if key in folders]
        if len(found) == 2:
            whole[split] = (folders[keys[0]], folders[keys[1]])
        elif split == "train":
            there = folders[found[0]].relative_to(root)
            raise ConfigurationError(f"{shown(root)}: there is {shown(there)}/ but no folder of the other domain")
        else:
            warnings.append(f"the {split} images are left out: one domain has none")
    if "train" not in whole:
        raise ConfigurationError(f"{shown(root)}: no training images; looked for: {LOOKED_FOR}")
    return Layout(whole, names, tuple(warnings))


def _two(root: Path, folders: list[Path], holding: str) -> tuple[Path, Path]:
    if len(folders) == 2:
        return folders[0], folders[1]
    listed = ", ".join(f"{shown(folder.name)}/" for folder in folders[:10])
    raise ConfigurationError(
        f"{shown(root)}: expected two folders with {holding}, one of each domain; "
        f"found {len(folders)}: {listed}.{_hint(root)}"
    )


def _spoken(names: tuple[str, str]) -> tuple[str, str] | None:
    return None if tuple(name.lower() for name in names) == ("a", "b") else names


def splits_in(folder: Path) -> dict[str, Path]:
    named = {f.name.lower(): f for f in folders_in(folder)}
    return {split: named[name] for name, split in reversed(SPLITS.items()) if name in named}


def folders_in(folder: Path) -> list[Path]:
    """Returns the visible subfolders, sorted, including links to folders, as a domain may be stored elsewhere.

    Raises ConfigurationError for a link to a folder that contains it.
    """
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    found = sorted(path for path in visible if path.is_dir())
    for path in found:
        if path.is_symlink() and folder.resolve().is_relative_to(path.resolve()):
            raise ConfigurationError(f"{shown(path)}: a link to a folder that it lies in; remove it")
    return found


def left_out(root: Path, places: Sequence[Path]) -> list[str]:
    """Returns a warning if folders with images are not part of the data set, whose folders are `places`."""
    around = dict.fromkeys((root, *(place.parent for place in places if place != root)))
    beside = (folder for parent in around for folder in folders_in(parent))
    strangers = [f for f in beside if not any(f.is_relative_to(p) or p.is_relative_to(f) for p in places)]
    holding = [folder for folder in strangers if next(iterate_images(folder), None)]
    return [f"folders with images that are no part of the data set are left out: {few(holding)}"] if holding else []


def files_in(folder: Path) -> list[Path]:
    """Returns the images directly in the folder, not in subfolders."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def _require_double_width(folder: Path) -> None:
    """Raises ConfigurationError unless a sample of files, spread evenly, are about twice as wide as high."""
    files = files_in(folder)
    for path in files[:: max(1, len(files) // 16)]:
        try:
            height, width = dimensions(path)
        except ImageError:
            continue  # reported by name when the image is read
        if width % 2 or not 1.8 <= width / height <= 2.2:
            raise ConfigurationError(
                f"{shown(folder)}: pairs side by side are twice as wide as high; {shown(path.name)} is "
                f"{width} x {height}. For other shapes put the images of each domain in a folder of its own. "
                f"Looked for: {LOOKED_FOR}"
            )


def require_folder(root: Path) -> None:
    if root.is_dir():
        return
    if not root.exists():
        raise ConfigurationError(f"{shown(root)}: no such folder")
    if root.suffix.lower() in ARCHIVES:
        raise ConfigurationError(f"{shown(root)}: an archive; unpack it first and give the folder")
    raise ConfigurationError(f"{shown(root)}: a file; give the folder of the data set")


def _hint(root: Path) -> str:
    """Suggests a subfolder that looks like the data set: archives often unpack into a nested folder."""
    for folder in folders_in(root):
        if {"traina", "train_a", "train"} & {f.name.lower() for f in folders_in(folder)}:
            return f" Did you mean {shown(folder)}?"
    return ""


def contents(root: Path) -> str:
    folders, images = folders_in(root), files_in(root)
    listed = [f"{shown(folder.name)}/" for folder in folders[:10]] + ["..."] * (len(folders) > 10)
    others = sum(1 for _ in root.iterdir()) - len(folders) - len(images)
    counts = [f"{count} {what}" for count, what in ((len(images), "images"), (others, "other files")) if count]
    return ", ".join([*listed, *counts]) or "nothing"
