"""Segmentation masks: a folder of pictures and one of masks, with the same names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from translate.data.annotated.annotated_set import AnnotatedSet, Made, Original, copied, with_stem_of
from translate.data.layouts.columns import same_letters
from translate.data.layouts.listing import iterate_images
from translate.data.layouts.splits import held_out_as
from translate.data.layouts.subfolders import folders_in
from translate.data.messages import few
from translate.errors import ConfigurationError
from translate.utils.printing import shown

LOOKED_FOR = "images/ masks/ with the same names (photos/ labels/ and the like; in train/ too)"
PICTURES = ("images", "image", "photos", "photo", "pictures", "imgs", "img", "jpegimages")
MASKS = ("masks", "mask", "labels", "label", "segmentations", "segmentation", "segmentationclass", "annotations", "gt")


class MaskSet(AnnotatedSet):
    """Masks are copied byte for byte, under the name of the translation."""

    called = "segmentation masks"
    keeps_size = True

    def write(self, out: Path, made: Sequence[Made], originals: bool) -> None:
        for one in made:
            name = self._name_of_mask(one.original)
            copied(_mask(one.original), out / with_stem_of(name, one.name))
        for original in self.originals if originals else ():
            copied(_mask(original), out / self._name_of_mask(original))

    def _name_of_mask(self, original: Original) -> str:
        return _mask(original).relative_to(self.root).as_posix()


def _mask(original: Original) -> Path:
    if original.mask is None:
        raise ValueError(f"{original.path} has no mask")
    return original.mask


def find_masks(root: Path) -> MaskSet | None:
    """The pictures of all folders beside which there is one of masks; None if there are none. Raises
    ConfigurationError if two files have one name."""
    originals, alone = [], list[Path]()
    for pictures, masks in _sides(root):
        columns = [_by_name(folder) for folder in (pictures, masks)]
        if not all(columns):
            continue
        for name, path in columns[0].items():
            if name not in columns[1]:
                alone.append(path)
                continue
            inside = path.relative_to(root)
            training = held_out_as(inside.parts[:-1]) is None
            originals.append(Original(path, inside.as_posix(), training, columns[1][name]))
        alone += [path for name, path in columns[1].items() if name not in columns[0]]
    warnings = [f"files without a partner of the same name are left out: {few(alone)}"] if alone else []
    return MaskSet(root, originals, warnings) if originals else None


def _sides(root: Path) -> Iterator[tuple[Path, Path]]:
    """The folders of pictures and of their masks, in `root` and in each of its folders."""
    for folder in (root, *folders_in(root)):
        named = {path.name.lower(): path for path in folders_in(folder)}
        found = [next((named[name] for name in names if name in named), None) for names in (PICTURES, MASKS)]
        if found[0] and found[1]:
            yield found[0], found[1]


def _by_name(folder: Path) -> dict[str, Path]:
    """The images below the folder, by relative path without suffix."""
    found: dict[str, Path] = {}
    for path in iterate_images(folder):
        name = same_letters(os.path.splitext(path.relative_to(folder).as_posix())[0])
        if name in found:
            raise ConfigurationError(
                f"{shown(found[name])} and {shown(path.name)}: the same but for the suffix; rename one"
            )
        found[name] = path
    return found
