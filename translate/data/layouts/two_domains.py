"""The layouts of two domains: which folders below a root hold which domain and split."""

import shlex
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from translate.data.io.images import dimensions
from translate.data.layouts.listing import ListingReport, iterate_images, unread
from translate.data.layouts.splits import WHOLE
from translate.data.layouts.subfolders import (
    Places,
    contents,
    domains_in,
    domains_within_splits,
    files_in,
    folders_in,
    holds_images,
    left_out,
    marked,
    marks_in,
    require_folder,
    splits_in,
    splits_within_domains,
)
from translate.errors import ConfigurationError, ImageError, folded, nearest
from translate.utils.printing import shown

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
    layers: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """Where a sample has several images, the names of those of the input and of the target, in the order of folders."""

    @property
    def side_by_side(self) -> bool:
        return all(len(folders) == 1 for folders in self.places.values())


def find_layout(root: Path, wanted: Names = None) -> Layout:
    """Finds the layout below `root`. Raises ConfigurationError that says what was expected and what is there."""
    require_folder(root)
    layout = next(filter(None, (layout(root, wanted) for layout in reversed(LAYOUTS.values()))), None)
    if layout is None:
        report = ListingReport()
        deque(iterate_images(root, report), maxlen=0)
        there = "; ".join([contents(root), *filter(None, [unread(report.others)])])
        raise ConfigurationError(f"{shown(root)}: no data set here. {_looked_for()}. Found: {there}.{_hint(root)}")
    if {name.lower() for name in wanted or ()} == {name.lower() for name in layout.names or ("A", "B")}:
        return layout  # what was not chosen is left out on purpose
    places = [folder for folders in layout.places.values() for folder in folders]
    return replace(layout, warnings=(*layout.warnings, *left_out(root, places)))


def _marked(root: Path, wanted: Names) -> Layout | None:
    places = marked(root)
    domains = places.get("train", {})
    if not domains:
        return None
    if len(domains) == 1:
        ((name, train),) = domains.items()
        if not _are_pairs(train):
            raise ConfigurationError(f"{shown(root)}: there is {shown(train.name)}/ but no folder of the other domain")
        return _of_pairs({split: folders[name] for split, folders in places.items()})
    return complete(root, places, two_of(root, sorted(domains), "training images", wanted))


def _splits_within_domains(root: Path, wanted: Names) -> Layout | None:
    places = splits_within_domains(root)
    domains = list(places.get("train", {}))
    return complete(root, places, two_of(root, domains, "a train/ folder", wanted)) if len(domains) > 1 else None


def _domains_within_splits(root: Path, wanted: Names) -> Layout | None:
    places = domains_within_splits(root)
    holding = {name: folder for name, folder in places.get("train", {}).items() if holds_images(folder)}
    if not holding:
        return None
    train = next(iter(holding.values())).parent
    return complete(root, places, two_of(train, list(holding), "images", wanted))


def _side_by_side(root: Path, wanted: Names) -> Layout | None:
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
    holding = [folder.name for folder in domains_in(root) if holds_images(folder)]
    if not holding:
        return None
    a, b = two_of(root, holding, "images", wanted)
    return Layout({WHOLE: (root / a, root / b)}, _spoken((a, b)))


LAYOUTS: dict[str, Callable[[Path, Names], Layout | None]] = {
    "two folders of images": _two_folders,
    "train/ (test/, val/) with pairs side by side in one file": _side_by_side,
    "A/train B/train": _splits_within_domains,
    "train/A train/B": _domains_within_splits,
    "trainA/ trainB/ (testA/ testB/), or train_NAME/ with other names": _marked,
}
"""How two domains lie on disk, in words, and the function that finds them so, or returns None. The last is asked first,
so that `LAYOUTS["my/folders"] = f` comes before all others."""


def _looked_for() -> str:
    return f"Looked for: {'; '.join(reversed(LAYOUTS))}"


def complete(root: Path, places: Places, names: tuple[str, ...]) -> Layout:
    """Builds a layout of the splits with all of these folders; warns of others. Raises ConfigurationError without
    train, unless nothing is split."""
    whole: dict[str, tuple[Path, ...]] = {}
    warnings = []
    for split, folders in sorted(places.items(), key=lambda split: min(split[1].values(), default=root)):
        found = [name for name in names if name in folders]
        if len(found) == len(names):
            whole[split] = tuple(folders[name] for name in names)
        elif split == "train":
            there = folders[found[0]].relative_to(root)
            raise ConfigurationError(f"{shown(root)}: there is {shown(there)}/ but no folder of the other domain")
        else:
            warnings.append(f"the {split} images are left out: one domain has none")
    if not whole.keys() & {"train", WHOLE}:
        raise ConfigurationError(f"{shown(root)}: no training images. {_looked_for()}")
    return Layout(whole, _spoken(names), tuple(warnings))


def two_of(root: Path, names: Sequence[str], holding: str, wanted: Names) -> tuple[str, str]:
    """Returns the names of two domains: those that are wanted, or the only two, which `wanted` may rename."""
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


def _spoken(names: tuple[str, ...]) -> tuple[str, str] | None:
    return None if len(names) != 2 or tuple(name.lower() for name in names) == ("a", "b") else (names[0], names[1])


def _require_double_width(folder: Path) -> None:
    """Raises ConfigurationError unless a sample of files, spread evenly, are about twice as wide as high."""
    for path, (height, width) in _sizes(folder):
        if width % 2 or not 1.8 <= width / height <= 2.2:
            raise ConfigurationError(
                f"{shown(folder)}: pairs side by side are twice as wide as high; {shown(path.name)} is "
                f"{width} x {height}. For other shapes put the images of each domain in a folder of its own. "
                f"{_looked_for()}"
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


def _hint(root: Path) -> str:
    """Suggests a subfolder that looks like the data set: archives often unpack into a nested folder."""
    for folder in folders_in(root):
        marks = marks_in(folder)
        if marks.domains or "train" in marks.by_domain.get("", {}):
            return f" Did you mean {shown(folder)}?"
    return ""
