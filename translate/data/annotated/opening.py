"""Opens a labelled set in whichever format it is."""

from collections.abc import Callable
from pathlib import Path

from translate.data.annotated import classes, coco, masks, tables, yolo
from translate.data.annotated.annotated_set import AnnotatedSet
from translate.data.labelled.digits import read_digits
from translate.data.layouts.subfolders import contents, require_folder
from translate.errors import ConfigurationError
from translate.utils.printing import shown

FORMATS: dict[str, Callable[[Path], AnnotatedSet | None]] = {
    coco.LOOKED_FOR: coco.find_coco,
    yolo.LOOKED_FOR: yolo.find_yolo,
    masks.LOOKED_FOR: masks.find_masks,
    tables.LOOKED_FOR: lambda root: tables.find_attribute_set(root) or tables.find_csv_set(root),
    classes.LOOKED_FOR: classes.find_classes,
}
"""How labels lie on disk, in words, and the function that finds them so. The first is asked first: folders named
images/ and masks/ would be two classes, too."""


def open_annotated(root: Path) -> AnnotatedSet:
    """The labelled set below `root`. Raises ConfigurationError if there is none, or a file of labels is invalid."""
    require_folder(root)
    found = next(filter(None, (find(root) for find in FORMATS.values())), None)
    if found is None and read_digits(root) is not None:
        raise ConfigurationError(
            f"{shown(root)}: digits in one large file, not pictures in files; write each as a PNG into a folder of its "
            "class, such as train/7/00001.png"
        )
    if found is None or not found.originals:
        looked_for = "; ".join(FORMATS)
        raise ConfigurationError(
            f"{shown(root)}: no labelled set here. Looked for: {looked_for}. Found: {contents(root)}"
        )
    if not any(one.training for one in found.originals):
        raise ConfigurationError(
            f"{shown(root)}: {found.called}: all {len(found.originals)} pictures are for tests; only training pictures "
            "are translated"
        )
    return found
