"""The folders below a data set's root: which splits and domains their names say, and what is in them."""

from collections.abc import Sequence
from pathlib import Path

from translate.data.layouts.listing import SUFFIXES, is_private, iterate_images
from translate.data.layouts.splits import SPLIT_ORDER, Splits, sort_out
from translate.data.messages import few
from translate.errors import ConfigurationError, folded
from translate.utils.printing import shown

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
Places = dict[str, dict[str, Path]]
"""For each split, the folder of each domain or class."""


def marked(root: Path) -> Places:
    """train_NAME/, or trainA/ trainB/ ..."""
    return _by_split(
        {
            name: {split: root / folder for split, folder in found.items()}
            for name, found in marks_in(root).domains.items()
        }
    )


def domains_within_splits(root: Path) -> Places:
    """train/NAME/."""
    splits = splits_in(root)
    if "train" not in splits or files_in(splits["train"]):
        return {}
    inside = {split: domains_in(root) if folder == root else folders_in(folder) for split, folder in splits.items()}
    places = {split: {folder.name: folder for folder in inside[split]} for split in SPLIT_ORDER if split in splits}
    return places if places["train"] else {}


def splits_within_domains(root: Path) -> Places:
    """NAME/train/."""
    found = {folder.name: splits_in(folder) for folder in folders_in(root)}
    return _by_split({name: splits for name, splits in found.items() if "train" in splits})


def _by_split(by_domain: dict[str, dict[str, Path]]) -> Places:
    every = {split for splits in by_domain.values() for split in splits}
    return {
        split: {name: splits[split] for name, splits in by_domain.items() if split in splits}
        for split in SPLIT_ORDER
        if split in every
    }


def marks_in(folder: Path) -> Splits:
    """Returns what the names of the folders in `folder` say of splits."""
    return sort_out([path.name for path in folders_in(folder)])


def splits_in(folder: Path) -> dict[str, Path]:
    """Returns the folders of bare split words; beside a mere test/ or val/, the rest of `folder` is for training."""
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
    """Returns the visible folders and links to folders, sorted. Raises ConfigurationError for a link in a circle."""
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
    """Returns whether there is an image in the folder or anywhere below; stops at the first."""
    return next(iterate_images(folder), None) is not None


def files_in(folder: Path) -> list[Path]:
    """Returns the images directly in the folder, not in subfolders."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not is_private(p.name))
    return sorted(path for path in found if path.is_file())


def require_folder(root: Path) -> None:
    """Raises ConfigurationError, which says what `root` is instead, unless it is a folder."""
    if root.is_dir():
        return
    if not root.exists():
        raise ConfigurationError(f"{shown(root)}: no such folder")
    if root.suffix.lower() in ARCHIVES:
        raise ConfigurationError(f"{shown(root)}: an archive; unpack it first and give the folder")
    raise ConfigurationError(f"{shown(root)}: a file; give the folder of the data set")


def contents(root: Path) -> str:
    """Returns, for messages, the names of the subfolders of `root` and how many images and other files it has."""
    folders, images = folders_in(root), files_in(root)
    listed = [folded([f"{shown(folder.name)}/" for folder in folders])] if folders else []
    others = sum(1 for _ in root.iterdir()) - len(folders) - len(images)
    counts = [f"{count} {what}" for count, what in ((len(images), "images"), (others, "other files")) if count]
    return ", ".join([*listed, *counts]) or "nothing"
