"""COCO's format: JSON files that list pictures, and boxes, segmentations, key points or captions by picture."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from translate.data.annotated.annotated_set import AnnotatedSet, Made, Original, copied
from translate.data.layouts.listing import iterate_images
from translate.data.layouts.splits import SPLITS
from translate.data.layouts.subfolders import folders_in
from translate.data.messages import few
from translate.errors import ConfigurationError
from translate.utils.atomic_files import write_atomic
from translate.utils.outputs import beginning, ending
from translate.utils.printing import shown
from translate.utils.stored import UnreadableError, read_bytes

LOOKED_FOR = "COCO's JSON files, here or in a folder such as annotations/"
_LISTS = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
_LOOKED_AT = 1 << 16
MOST = 4 << 30
"""Bytes of the largest file of annotations."""
ELSEWHERE = ("coco_url", "flickr_url")
"""Where the original can be downloaded: a translation is nowhere else."""


@dataclass(frozen=True)
class Annotations:
    """One JSON file, and the folder that its file names are relative to."""

    path: Path
    content: dict[str, Any]
    folder: Path
    training: bool


class CocoSet(AnnotatedSet):
    """Each JSON file gets an entry with a new id for each translation, and the annotations of its picture with new ids
    and otherwise untouched."""

    called = "COCO JSON"
    keeps_size = True
    measured = False

    def __init__(self, root: Path, files: Sequence[Annotations]) -> None:
        self.files = files
        held: dict[Path, bool] = {}
        absent: list[Path] = []
        for file in files:
            for entry in file.content["images"]:
                path = file.folder / entry["file_name"]
                if path not in held and not path.is_file():
                    absent.append(path)
                    continue
                held[path] = held.get(path, True) and file.training
        missing = [f"pictures of annotations that are not there are left out: {few(absent)}"] if absent else []
        originals = [Original(path, path.relative_to(root).as_posix(), training) for path, training in held.items()]
        super().__init__(root, originals, missing)

    @property
    def categories(self) -> tuple[str, ...]:
        named = (one.get("name") for file in self.files for one in file.content.get("categories") or ())
        return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))

    def write(self, out: Path, made: Sequence[Made], originals: bool) -> None:
        images = _fresh(entry["id"] for file in self.files for entry in file.content["images"])
        annotations = _fresh(one["id"] for file in self.files for one in file.content["annotations"])
        new = [(next(images), one) for one in made]
        by_path = defaultdict(list)
        for number, one in new:
            by_path[one.original.path].append((number, one))
        for file in self.files:
            target = out / file.path.relative_to(self.root)
            if not file.training and originals:
                copied(file.path, target)
            elif file.training:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(target, json.dumps(_extended(file, by_path, annotations, originals), allow_nan=False))


def _extended(
    file: Annotations, made: dict[Path, list[tuple[Any, Made]]], fresh: Iterator[Any], originals: bool
) -> dict[str, Any]:
    """The content of a file with the translations of its pictures, and their annotations."""
    images, annotations = (list(file.content[name]) if originals else [] for name in ("images", "annotations"))
    of_picture = defaultdict(list)
    for annotation in file.content["annotations"]:
        of_picture[annotation["image_id"]].append(annotation)
    for entry in file.content["images"]:
        for number, one in made.get(file.folder / entry["file_name"], ()):
            name = PurePosixPath(entry["file_name"]).with_name(PurePosixPath(one.name).name).as_posix()
            kept = {key: value for key, value in entry.items() if key not in ELSEWHERE}
            images.append(kept | {"id": number, "file_name": name})
            annotations += [
                annotation | {"id": next(fresh), "image_id": number} for annotation in of_picture[entry["id"]]
            ]
    return file.content | {"images": images, "annotations": annotations}


def _fresh(known: Iterable[Any]) -> Iterator[Any]:
    """Ids that are not among the known ones: numbers behind the greatest; words, if one of those is a word."""
    ids = set(known)
    if all(isinstance(one, int) for one in ids):
        return count(max(ids, default=0) + 1)
    return (name for name in (f"augmented-{number}" for number in count(1)) if name not in ids)


def find_coco(root: Path) -> CocoSet | None:
    """The set of all COCO files in `root` and its folders; None if there are none. Raises ConfigurationError."""
    paths = [path for folder in (root, *folders_in(root)) for path in sorted(folder.glob("*.json"))]
    contents = {path: _content(path) for path in paths if _may_be(path)}
    contents = {path: content for path, content in contents.items() if content is not None}
    if not contents:
        return None
    pictures = list(iterate_images(root))
    return CocoSet(root, [_placed(root, path, content, pictures) for path, content in contents.items() if content])


def _may_be(path: Path) -> bool:
    return any(_LISTS.search(end) for end in (beginning(path, _LOOKED_AT), ending(path, _LOOKED_AT)))


def _content(path: Path) -> dict[str, Any] | None:
    """The checked content; None of a file that is something else."""
    try:
        content = json.loads(read_bytes(path, MOST), parse_constant=_refused)
    except (UnreadableError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{shown(path)}: cannot be read as COCO JSON: {error}") from error
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        return None
    for name, keys in (("images", ("id", "file_name")), ("annotations", ("id", "image_id"))):
        if not isinstance(content[name], list):
            raise ConfigurationError(f"{shown(path)}: {name}: expected a list")
        for number, entry in enumerate(content[name]):
            if isinstance(entry, dict) and "segments_info" in entry:
                raise ConfigurationError(
                    f"{shown(path)}: panoptic annotations, which are pictures of their own; move this file elsewhere"
                )
            if not isinstance(entry, dict) or not all(isinstance(entry.get(key), int | str) for key in keys):
                raise ConfigurationError(f"{shown(path)}: {name}.{number}: expected {' and '.join(keys)}")
        ids = Counter(entry["id"] for entry in content[name])
        if twice := [one for one, times in ids.items() if times > 1]:
            raise ConfigurationError(f"{shown(path)}: {name}: the id {twice[0]} is there {ids[twice[0]]} times")
    return content


def _refused(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _placed(root: Path, path: Path, content: dict[str, Any], pictures: Sequence[Path]) -> Annotations:
    """The file with the folder that holds the most of its pictures; of several alike, the one of the file's name or
    place. Raises ConfigurationError if none of its pictures is there."""
    names = [entry["file_name"] for entry in content["images"]]
    if wrong := next((name for name in names if not isinstance(name, str) or _leads_out(name)), None):
        raise ConfigurationError(f"{shown(path)}: the file_name {shown(str(wrong))} leads out of its folder")
    depths = {len(PurePosixPath(name).parts) for name in names}
    wanted = {PurePosixPath(name).as_posix() for name in names}
    hits: Counter[Path] = Counter()
    for picture in pictures:
        parts = picture.relative_to(root).parts
        for depth in depths:
            if depth <= len(parts) and "/".join(parts[-depth:]) in wanted:
                hits[picture.parents[depth - 1]] += 1
    if names and not hits:
        raise ConfigurationError(
            f"{shown(path)}: none of its {len(names)} pictures is in {shown(root)} or a folder below it, neither "
            f"{shown(names[0])} nor another"
        )
    folder = max(hits, key=lambda place: (hits[place], _akin(place, path)), default=root)
    said = [SPLITS[word] for word in _words(path.relative_to(root), folder.relative_to(root)) if word in SPLITS]
    return Annotations(path, content, folder, training=not set(said) - {"train"})


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or not path.name


def _akin(folder: Path, file: Path) -> int:
    """2 for the file's own folder, 1 for one that its name speaks of."""
    return 2 * (folder == file.parent) + (folder.name.lower() in file.stem.lower())


def _words(*paths: Path) -> list[str]:
    return [word.lower() for path in paths for word in re.findall("[A-Za-z]+", path.as_posix())]
