"""A folder of photos alone, whose inputs are derived from them: with its splits, or a part held out by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from translate.data.layouts.columns import Column, Scan, split_of_test, with_origin, with_test
from translate.data.layouts.folders import Folder, Split
from translate.data.layouts.listing import SUFFIXES
from translate.data.layouts.splits import WHOLE
from translate.data.layouts.subfolders import contents, require_folder, splits_in
from translate.data.source_file import Source
from translate.errors import ConfigurationError
from translate.utils.printing import shown


def open_photos(root: Path, name: str, follow_links: bool = True) -> Folder:
    """All images below `root`, as the one domain `name`: train/, test/ and val/ are its splits if it has them,
    otherwise a tenth is held out by a hash of the names.

    Raises ConfigurationError if there are none to train on.
    """
    require_folder(root)
    scan = Scan(root, follow_links)
    columns, origin = all_images(scan)
    found: dict[str, Split] = {
        split: (tuple(map(Source, column.values())),) for split, (column,) in columns.items() if column
    }
    lines = [f"photos in {shown(root)}", *(f"{split}: {len(sources)} {name}" for split, (sources,) in found.items())]
    return Folder(
        root=root,
        kind="unpaired",
        domains=(name,),
        splits=found,
        test_is_paired=False,
        found=tuple(with_origin(lines, origin)),
        warnings=scan.all_warnings(source.path for (sources,) in found.values() for source in sources),
        notes=(*scan.notes(), *_perhaps_pairs(name for column in columns.values() for name in column[0])),
        test_split=split_of_test(origin),
    )


def all_images(scan: Scan) -> tuple[dict[str, tuple[Column, ...]], str]:
    """All images below the root of a scan as one column a split, and how those for tests were chosen. Raises
    ConfigurationError if there are none to train on."""
    root, splits = scan.root, splits_in(scan.root)
    places = splits if "train" in splits else {WHOLE: root}
    columns, origin = with_test(scan.splits({split: [folder] for split, folder in places.items()}))
    if not columns.get("train", ({},))[0]:
        suffixes = " ".join(sorted(SUFFIXES))
        raise ConfigurationError(f"{shown(root)}: no images to train on, of {suffixes}. Found: {contents(root)}")
    return columns, origin


def _perhaps_pairs(names: Iterable[str]) -> Iterator[str]:
    """Says so if the images are in two folders of the same names, which may be inputs and targets; of images by their
    paths below the root."""
    folders: dict[str, set[str]] = {}
    for name in names:
        folder, inside, rest = name.partition("/")
        folders.setdefault(folder if inside else "", set()).add(rest if inside else name)
    if len(folders) == 2 and "" not in folders and len({frozenset(held) for held in folders.values()}) == 1:
        one, other = map(shown, folders)
        yield (
            f"{one}/ and {other}/ hold images of the same names: if they are inputs and targets, set data.derive=null"
        )
