"""Writes a folder of images generated from noise."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from translate.data.io.images import Picture, to_pixels, write
from translate.data.synthetic.point_pictures import dots
from translate.errors import ConfigurationError, nearest
from translate.inference.provenance import require_writable
from translate.models.base import Sampler
from translate.models.noise import fixed_rng
from translate.utils.atomic_files import clear_leftovers, write_atomic
from translate.utils.outputs import admit


@torch.inference_mode()
def draw_samples(model: Sampler, count: int, *, label: int | None = None, seed: int = 0) -> Tensor:
    """Draws `count` images (count, channels, height, width) in [-1, 1] on the CPU; cycles through all classes if
    `label` is None. Image i depends only on the seed, on i and on its class."""
    # One at a time: the random numbers and rounding of a batch would depend on its size.
    return torch.cat([_draw_one(model, _class_of(model, index, label), seed, index) for index in range(count)])


@torch.inference_mode()
def sample_folder(
    model: Sampler,
    out: Path,
    count: int,
    *,
    label: int | None = None,
    seed: int = 0,
    grid: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Writes `count` images and returns their paths.

    The files are out/00000.png, ..., or out/CLASS/00000.png, ... if the model knows classes, plus, with `grid`,
    out/grid.png showing all of them. `label` is the number of the wanted class (see `class_number`); None cycles
    through all. Points in the plane become out/points.csv, and their grid a picture of dots. The model is on its
    device, and the caller has chosen the precision. Raises ConfigurationError if a file already exists, before anything
    is written; ImageError if one cannot be written; ValueError for a label the model does not know.
    """
    require_writable(out)  # drawing takes long
    if count < 1:
        raise ConfigurationError(f"--count {count}: expected 1 or more")
    if label is not None and label not in range(len(model.classes)):
        raise ValueError(f"class {label} of {len(model.classes)}")
    # Only what it draws shows that a model is one of points.
    points = _draw_one(model, label, seed, 0).shape[-2:] == (1, 1)
    names = [Path("points.csv")] if points else [_name(model, index, label) for index in range(count)]
    paths = [out / name for name in names]
    for path in [*paths, *([out / "grid.png"] if grid else [])]:
        admit(path, overwrite=overwrite, way_out="give another folder, or --overwrite")
    samples = draw_samples(model, count, label=label, seed=seed)
    for place in {out, *(path.parent for path in paths)}:
        clear_leftovers(place)
    if points:
        out.mkdir(parents=True, exist_ok=True)
        _write_points(paths[0], samples)
    else:
        for path, image in zip(paths, samples, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_image(path, image)
    if grid:
        columns = len(model.classes) if model.classes and label is None else math.ceil(math.sqrt(count))
        picture = dots(samples[:0], samples)[0] if points else tile(samples, columns)
        paths.append(out / "grid.png")
        _write_image(paths[-1], picture)
    return paths


def class_number(model: Sampler, name: str | None) -> int | None:
    """The number of the class called `name`. Raises ConfigurationError naming the classes that the model knows."""
    if name is None:
        return None
    if not model.classes:
        raise ConfigurationError(f"--label {name}: this model knows no classes")
    if name not in model.classes:
        known = f"this model knows {', '.join(model.classes)}"
        raise ConfigurationError(f"--label {name}: {known}{nearest(name, model.classes)}")
    return list(model.classes).index(name)


def tile(images: Tensor, columns: int, gutter: int = 2) -> Tensor:
    """Tiles images (count, channels, height, width) into one (channels, ...), row by row, with white gutters between
    and around them."""
    count, channels, height, width = images.shape
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    sheet = images.new_ones(channels, rows * (height + gutter) + gutter, columns * (width + gutter) + gutter)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = gutter + row * (height + gutter), gutter + column * (width + gutter)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def _class_of(model: Sampler, index: int, label: int | None) -> int | None:
    return index % len(model.classes) if label is None and model.classes else label


def _draw_one(model: Sampler, label: int | None, seed: int, index: int) -> Tensor:
    first = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]
    with fixed_rng(next(model.parameters()).device, int(first >> 1)):
        return model.sample(1, label).float().cpu()


def _name(model: Sampler, index: int, label: int | None) -> Path:
    number = _class_of(model, index, label)
    file = Path(f"{index:05d}.png")
    if number is None:
        return file
    name = model.classes[number]
    # Names from a table may be anything; one that is not a plain folder name is replaced by its number.
    return Path(name if name == Path(name).name and not name.startswith(".") else str(number)) / file


def _write_image(path: Path, image: Tensor) -> None:
    pixels = to_pixels(image).permute(1, 2, 0).numpy()
    alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
    write(path, Picture(pixels if alpha is None else pixels[..., :3], alpha))


def _write_points(path: Path, points: Tensor) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("x", "y"), *points.flatten(1).tolist()])
    write_atomic(path, text.getvalue())
