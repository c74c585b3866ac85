"""What users name as a style, a seed or a reference image, as the `Style` that a request carries."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.data.domain import Domain
from translate.data.io.images import Picture, read, to_float
from translate.data.planes import planes_of
from translate.errors import ConfigurationError
from translate.inference.forms import floats_of, picture_from
from translate.models.base import ImageSpec, ImageTranslator
from translate.models.images import Style, no_styles
from translate.training.runtime import Runtime
from translate.utils.atomic_files import sha256_of
from translate.utils.printing import shown

EXPECTED = "expected seed:N, such as seed:7, or the file of a reference image"


def style_of(wanted: Any, model: ImageTranslator, images: ImageSpec, runtime: Runtime, to: int) -> Style:
    """The style of domain `to` that is wanted: "seed:N" or a number, a reference image's file, or that image itself as
    a tensor (channels, height, width), an array or a PIL image, as `convert` takes them.

    A reference is stretched to the size of training, as published. Raises ConfigurationError for a model without
    styles and for a file that is not there; ImageError for one that cannot be read.
    """
    if not model.styled:
        named = wanted if isinstance(wanted, str) else shown(wanted) if isinstance(wanted, Path) else "of an image"
        raise no_styles(named)
    if (seed := _seed(wanted)) is not None:
        return model.drawn_style(seed, to)
    domain, read_off = images.domain(to), partial(_read, model=model, images=images, runtime=runtime, to=to)
    if isinstance(wanted, Tensor):
        return read_off(floats_of(wanted), name="a given image")
    if not isinstance(wanted, str | Path):
        return read_off(_floats(picture_from(wanted, domain), domain), name="a given image")
    path = Path(wanted)
    if not path.is_file():
        raise ConfigurationError(f"--style {shown(wanted)}: no such file; {EXPECTED}")
    name = f"{shown(path.name)} ({sha256_of(path)[:8]})"
    return read_off(_floats(read(path, span=domain.span), domain), name=name)


def _seed(wanted: Any) -> int | None:
    """The seed that is wanted; None for a reference. Raises ConfigurationError for what only looks like a seed."""
    if isinstance(wanted, int):
        return wanted
    if not (isinstance(wanted, str) and wanted.startswith("seed:")):
        return None
    if not re.fullmatch(r"seed:\d{1,18}", wanted):
        raise ConfigurationError(f"--style {shown(wanted)}: {EXPECTED}")
    return int(wanted.removeprefix("seed:"))


def _floats(picture: Picture, domain: Domain) -> Tensor:
    return to_float(torch.from_numpy(planes_of(picture, domain).copy()).permute(2, 0, 1))[None]


def _read(image: Tensor, model: ImageTranslator, images: ImageSpec, runtime: Runtime, to: int, name: str) -> Style:
    """The style of an image (1, channels, height, width) in [-1, 1], at the size of training."""
    if image.shape[2:] != images.crop:
        image = F.interpolate(image, images.crop, mode="bilinear", antialias=True).clamp(-1, 1)
    with runtime.autocast():
        return model.read_style(runtime.layout(image.to(runtime.device)), to, name)
