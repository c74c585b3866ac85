"""Finds which folders below a root hold which domain and split, from folder names and a check of image shapes."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from translate.data.io.images import dimensions
from translate.data.layouts.listing import SUFFIXES, Seen, is_private, iterate_images, unread
from translate.data.layouts.splits import Splits, sort_out
from translate.data.telling import few
from translate.errors import ConfigurationError, ImageError, folded, nearest
from translate.utils.printing import shown

WHOLE = "whole"
"""Split name of images that are not split."""
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
LOOKED_FOR = (
    "trainA/ trainB/ (testA/ testB/), or train_NAME/ with other names; A/train B/train; train/A train/B; "
    "train/ (test/, val/) with pairs side by side in one file; or two folders of images"
)
Names = tuple[str, ...] | None
"""Domains that are asked for. They choose among folders of these names, or all of them rename the two there are."""


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


def recognise(root: Path, wanted: Names = None) -> Layout:
    """Finds the layout below `root`. Raises ConfigurationError that says what was expected and what is there."""
    require_folder(root)
    for attempt in (_marked, _domains_of_splits, _splits_of_domains, _side_by_side, _two_folders):
        layout = attempt(root, wanted)
        if layout:
            if {name.lower() for name in wanted or ()} == {name.lower() for name in layout.names or ("A", "B")}:
                return layout  # what was not chosen is left out on purpose
            places = [folder for folders in layout.places.values() for folder in folders]
            return replace(layout, warnings=(*layout.warnings, *left_out(root, places)))
    seen = Seen()
    deque(iterate_images(root, seen), maxlen=0)
    there = "; ".join([contents(root), *filter(None, [unread(seen.others)])])
    raise ConfigurationError(f"{shown(root)}: no data set here. Looked for: {LOOKED_FOR}. Found: {there}.{_hint(root)}")


def _marked(root: Path, wanted: Names) -> Layout | None:
    """trainA/ trainB/ testA/ testB/, also train_summer/ or winterTest/."""
    domains = marks_in(root).domains
    if not domains:
        return None
    if len(domains) == 1:
        ((_, found),) = domains.items()
        train = root / found["train"]
        if not _are_pairs(train):
            raise ConfigurationError(f"{shown(root)}: there is {shown(train.name)}/ but no folder of the other domain")
        return _of_pairs({split: root / name for split, name in found.items()})
    names = _two(root, sorted(domains), "training images", wanted)
    places: dict[str, dict[str, Path]] = {}
    for name in names:
        for split, folder in domains[name].items():
            places.setdefault(split, {})[name] = root / folder
    return _complete(root, places, names)


def _splits_of_domains(root: Path, wanted: Names) -> Layout | None:
    """A/train B/train."""
    splits = {domain.name: splits_in(domain) for domain in folders_in(root)}
    splits = {domain: found for domain, found in splits.items() if "train" in found}
    if len(splits) < 2:
        return None
    names = _two(root, list(splits), "a train/ folder", wanted)
    places: dict[str, dict[str, Path]] = {}
    for name in names:
        for split, folder in splits[name].items():
            places.setdefault(split, {})[name] = folder
    return _complete(root, places, names)


def _domains_of_splits(root: Path, wanted: Names) -> Layout | None:
    """train/A train/B."""
    splits = splits_in(root)
    if "train" not in splits or files_in(splits["train"]):
        return None
    inside = {split: domains_in(root) if folder == root else folders_in(folder) for split, folder in splits.items()}
    holding = [folder.name for folder in inside["train"] if holds_images(folder)]
    if not holding:
        return None
    names = _two(splits["train"], holding, "images", wanted)
    places = {split: {folder.name: folder for folder in folders} for split, folders in inside.items()}
    return _complete(root, places, names)


def _side_by_side(root: Path, wanted: Names) -> Layout | None:
    """train/ val/ test/ with two images in each file, or such files directly in `root`."""
    splits = {split: folder for split, folder in splits_in(root).items() if files_in(folder)}
    if "train" in splits:
        return _of_pairs(splits)
    if splits or not files_in(root):
        return None
    return _of_pairs({WHOLE: root})


def _of_pairs(splits: dict[str, Path]) -> Layout:
    for folder in splits.values():
        _require_double_width(folder)
    return Layout({split: (folder,) for split, folder in splits.items()}, None)


def _two_folders(root: Path, wanted: Names) -> Layout | None:
    """Two folders of images, with any names."""
    holding = [folder.name for folder in domains_in(root) if holds_images(folder)]
    if not holding:
        return None
    a, b = _two(root, holding, "images", wanted)
    return Layout({WHOLE: (root / a, root / b)}, _spoken((a, b)))


def _complete(root: Path, places: dict[str, dict[str, Path]], names: tuple[str, str]) -> Layout:
    """Builds a layout of the splits that have both domains; warns of others.

    Raises ConfigurationError if the training split lacks a domain.
    """
    whole: dict[str, tuple[Path, ...]] = {}
    warnings = []
    for split, folders in sorted(places.items(), key=lambda split: min(split[1].values(), default=root)):
        found = [name for name in names if name in folders]
        if len(found) == 2:
            whole[split] = (folders[names[0]], folders[names[1]])
        elif split == "train":
            there = folders[found[0]].relative_to(root)
            raise ConfigurationError(f"{shown(root)}: there is {shown(there)}/ but no folder of the other domain")
        else:
            warnings.append(f"the {split} images are left out: one domain has none")
    if "train" not in whole:
        raise ConfigurationError(f"{shown(root)}: no training images; looked for: {LOOKED_FOR}")
    return Layout(whole, _spoken(names), tuple(warnings))


def _two(root: Path, names: Sequence[str], holding: str, wanted: Names) -> tuple[str, str]:
    """Returns the names of two domains: those that are wanted, or the only two, which `wanted` may name anew."""
    known = {name.lower(): name for name in names}
    chosen = [known[name.lower()] for name in wanted or () if name.lower() in known]
    if len(chosen) == 2 and chosen[0] != chosen[1]:
        return chosen[0], chosen[1]
    strange = [name for name in wanted or () if name.lower() not in known]
    if chosen and strange:  # neither a choice nor new names for both: a slip, which would swap the domains
        raise ConfigurationError(f"{shown(root)}: no domain '{shown(strange[0])}'{nearest(strange[0], names)}")
    if len(names) == 2:
        return names[0], names[1]
    raise ConfigurationError(
        f"{shown(root)}: expected two folders with {holding}, one of each domain; "
        f"found {len(names)}: {folded([f'{shown(name)}/' for name in names])}.{_choice(known)}{_hint(root)}"
    )


def _choice(known: dict[str, str]) -> str:
    """Says how to choose two of several domains."""
    if len(known) < 2:
        return ""
    if {"label", "img"} <= known.keys():
        return (
            " These are pix2pixHD's folders: --domains label,img --set data.layout=paired takes label maps and "
            "photographs as pairs; maps of instances are not read"
        )
    first, second, *_ = known.values()
    return f" To take two of them, say which: --domains {shlex.quote(f'{shown(first)},{shown(second)}')}"


def _spoken(names: tuple[str, str]) -> tuple[str, str] | None:
    return None if tuple(name.lower() for name in names) == ("a", "b") else names


def marks_in(folder: Path) -> Splits:
    """Returns what the names of the folders in `folder` say of splits."""
    return sort_out([path.name for path in folders_in(folder)])


def splits_in(folder: Path) -> dict[str, Path]:
    """Returns the folders of bare split words in `folder`. If only test/ or val/ is there, the rest of `folder` is the
    training split."""
    marks = marks_in(folder)
    found = {split: folder / name for split, name in marks.by_domain.get("", {}).items()}
    if not found or "train" in found:
        return found
    rest = files_in(folder) or any(holds_images(folder / name) for name in marks.plain)
    return {**found, "train": folder} if rest else found


def domains_in(folder: Path) -> list[Path]:
    """Returns the folders in `folder` that are named without a split word."""
    return [folder / name for name in marks_in(folder).plain]


def folders_in(folder: Path) -> list[Path]:
    """Returns the visible subfolders, sorted, including links to folders, as a domain may be stored elsewhere.

    Raises ConfigurationError for a link to a folder that contains it.
    """
    visible = (path for path in folder.iterdir() if not is_private(path.name))
    found = sorted(path for path in visible if path.is_dir())
    for path in found:
        if path.is_symlink() and folder.resolve().is_relative_to(path.resolve()):
            raise ConfigurationError(f"{shown(path)}: a link to a folder that it lies in; remove it")
    return found


def around(root: Path, places: Sequence[Path]) -> list[Path]:
    """Returns `root` and the folders that hold `places` directly, except `places` themselves."""
    return [
        folder
        for folder in dict.fromkeys((root, *(place.parent for place in places if place != root)))
        if folder not in places
    ]


def left_out(root: Path, places: Sequence[Path]) -> list[str]:
    """Returns a warning if folders with images are not part of the data set, whose folders are `places`."""
    beside = (folder for parent in around(root, places) for folder in folders_in(parent))
    strangers = [f for f in beside if not any(f.is_relative_to(p) or p.is_relative_to(f) for p in places)]
    holding = [folder for folder in strangers if holds_images(folder)]
    return [f"folders with images that are no part of the data set are left out: {few(holding)}"] if holding else []


def holds_images(folder: Path) -> bool:
    return next(iterate_images(folder), None) is not None


def files_in(folder: Path) -> list[Path]:
    """Returns the images directly in the folder, not in subfolders."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not is_private(p.name))
    return sorted(path for path in found if path.is_file())


def _require_double_width(folder: Path) -> None:
    """Raises ConfigurationError unless a sample of files, spread evenly, are about twice as wide as high."""
    for path, (height, width) in _sizes(folder):
        if width % 2 or not 1.8 <= width / height <= 2.2:
            raise ConfigurationError(
                f"{shown(folder)}: pairs side by side are twice as wide as high; {shown(path.name)} is "
                f"{width} x {height}. For other shapes put the images of each domain in a folder of its own. "
                f"Looked for: {LOOKED_FOR}"
            )


def _are_pairs(folder: Path) -> bool:
    sizes = [size for _, size in _sizes(folder)]
    return bool(sizes) and all(width % 2 == 0 and 1.8 <= width / height <= 2.2 for height, width in sizes)


def _sizes(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yields (height, width) of a sample of the files in `folder`, spread evenly."""
    files = files_in(folder)
    for path in files[:: max(1, len(files) // 16)]:
        with suppress(ImageError):  # reported by name when the image is read
            yield path, dimensions(path)


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
        marks = marks_in(folder)
        if marks.domains or "train" in marks.by_domain.get("", {}):
            return f" Did you mean {shown(folder)}?"
    return ""


def contents(root: Path) -> str:
    folders, images = folders_in(root), files_in(root)
    listed = [folded([f"{shown(folder.name)}/" for folder in folders])] if folders else []
    others = sum(1 for _ in root.iterdir()) - len(folders) - len(images)
    counts = [f"{count} {what}" for count, what in ((len(images), "images"), (others, "other files")) if count]
    return ", ".join([*listed, *counts]) or "nothing"
