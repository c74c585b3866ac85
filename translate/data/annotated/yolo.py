"""YOLO's format: a YAML file with names and folders of pictures, and a text file of labels for each picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from translate.data.annotated.annotated_set import AnnotatedSet, Made, Original, copied
from translate.data.layouts.listing import iterate_images
from translate.errors import ConfigurationError
from translate.utils.atomic_files import write_atomic
from translate.utils.printing import shown
from translate.utils.stored import UnreadableError, read_text

LOOKED_FOR = "YOLO's YAML file with names and train"
PLACES = ("train", "val", "test")
_MOST = 1 << 20


@dataclass(frozen=True)
class Description:
    """What the YAML file says; `names` of classes, `folders` of each of `PLACES` that it names."""

    path: Path
    text: str
    names: tuple[str, ...]
    folders: Mapping[str, tuple[Path, ...]]
    lines: frozenset[int]
    """The lines that say where pictures are."""


class YoloSet(AnnotatedSet):
    """Labels are shares of width and height, and are copied byte for byte; a picture without a file of labels, which
    shows nothing, stays so."""

    called = "YOLO text"
    measured = False

    def __init__(self, root: Path, said: Description) -> None:
        self.said = said
        place_of: dict[Path, str] = {}
        for place in reversed(PLACES):  # a picture that is also tested on is not for training
            for folder in said.folders.get(place, ()):
                place_of = dict.fromkeys(iterate_images(folder), place) | place_of
        originals = [
            Original(path, path.relative_to(root).as_posix(), place == "train") for path, place in place_of.items()
        ]
        bare = not any((root / _labels(original.name)).is_file() for original in originals if original.training)
        warnings = ["no training picture has a file of labels (looked for labels/ in the place of images/)"] * bare
        super().__init__(root, originals, warnings)

    @property
    def categories(self) -> tuple[str, ...]:
        return self.said.names

    def write(self, out: Path, made: Sequence[Made], originals: bool) -> None:
        named = [(one.original, one.name) for one in made]
        named += [(original, original.name) for original in self.originals if originals]
        for original, name in named:
            if (labels := self.root / _labels(original.name)).is_file():
                copied(labels, out / _labels(name))
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / self.said.path.name, self._description(originals))

    def _description(self, originals: bool) -> str:
        """The YAML file with the folders of the new set; where test pictures are left out, with their own folders."""
        kept = [line for number, line in enumerate(self.said.text.splitlines()) if number not in self.said.lines]
        places = []
        for place, folders in self.said.folders.items():
            here = originals or place == "train"
            listed = [(folder.relative_to(self.root) if here else folder.resolve()).as_posix() for folder in folders]
            value = listed[0] if len(listed) == 1 else listed
            places.append(yaml.safe_dump({place: value}, allow_unicode=True, width=1 << 20).rstrip())
        return "\n".join([*places, *kept]) + "\n"


def _labels(name: str) -> str:
    """Where the labels of a picture are: in labels/, where the picture is in images/."""
    parts = list(PurePosixPath(name).with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return "/".join(parts)


def find_yolo(root: Path) -> YoloSet | None:
    """The set that a YAML file in `root` describes; None if none does. Raises ConfigurationError."""
    found = [said for path in sorted(root.glob("*.y*ml")) if path.is_file() and (said := _described(root, path))]
    if len(found) > 1:
        both = " and ".join(shown(said.path) for said in found[:2])
        raise ConfigurationError(f"{both}: both describe a set of YOLO's; move one of them elsewhere")
    return YoloSet(root, found[0]) if found else None


def _described(root: Path, path: Path) -> Description | None:
    try:
        text = read_text(path, _MOST)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (UnreadableError, yaml.YAMLError, RecursionError):
        return None  # another program's
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return None
    keys = {key.value: (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    if not {"train", "names"} <= keys.keys():
        return None
    base = _words(keys["path"][1])[0] if "path" in keys and _words(keys["path"][1]) else ""
    folders = {
        place: tuple(_folder(root, path, base, word) for word in _words(keys[place][1]))
        for place in PLACES
        if place in keys
    }
    lines = {
        line
        for name in ("path", *PLACES)
        if name in keys
        for line in range(keys[name][0].start_mark.line, max(keys[name][0].start_mark.line + 1, _end(keys[name][1])))
    }
    return Description(
        path, text, tuple(_words(keys["names"][1])), {k: v for k, v in folders.items() if v}, frozenset(lines)
    )


def _end(node: yaml.Node) -> int:
    """The line behind a value."""
    mark = node.end_mark
    return int(mark.line if mark.column == 0 else mark.line + 1)


def _words(node: yaml.Node) -> list[str]:
    """The words of a list or of a mapping of numbers, or the only one."""
    if isinstance(node, yaml.ScalarNode):
        return [str(node.value)] if node.value and node.tag != "tag:yaml.org,2002:null" else []
    inner = [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else node.value
    return [str(one.value) for one in inner if isinstance(one, yaml.ScalarNode)]


def _folder(root: Path, described: Path, base: str, word: str) -> Path:
    """The folder that a word of the YAML file means. Raises ConfigurationError if it is not below `root`."""
    bare = PurePosixPath(*(part for part in PurePosixPath(word).parts if part not in ("..", "/")))
    for place in (root / word, root / base / word, root / bare):
        if place.is_file():
            raise ConfigurationError(
                f"{shown(described)}: {shown(word)}: a list of files; folders of pictures are expected"
            )
        if place.is_dir() and place.resolve().is_relative_to(root.resolve()):
            return root / place.resolve().relative_to(root.resolve())
    raise ConfigurationError(f"{shown(described)}: {shown(word)}: no such folder in {shown(root)}")
