"""Small files of frozen classifiers, with torchvision's keys."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

WIDTHS = (2, 3, 4, 5, 6)
"""Of the five blocks, of two convolutions each, as in VGG-13."""


def vgg_file(path: Path, seed: int = 0) -> tuple[Path, dict[str, Tensor]]:
    """Writes the state dict of a VGG of few channels, with a head for classes; the path, and what was written."""
    rng, state, narrow = torch.Generator().manual_seed(seed), {}, 3
    for block, wide in enumerate(WIDTHS):
        for number in (5 * block, 5 * block + 2):
            scale = (2 / (9 * narrow)) ** 0.5
            state[f"features.{number}.weight"] = scale * torch.randn(wide, narrow, 3, 3, generator=rng)
            state[f"features.{number}.bias"] = 0.1 * torch.randn(wide, generator=rng)
            narrow = wide
    state["classifier.0.weight"] = torch.randn(2, narrow, generator=rng)
    torch.save(state, path)
    return path, state


def seen_by(vgg: dict[str, Tensor], images: Tensor) -> list[Tensor]:
    """What such a VGG makes of images (batch, 3, height, width), written out: at the first ReLU of each block."""
    found = []
    for block in range(len(WIDTHS)):
        if block:
            images = F.max_pool2d(F.relu(_conv(vgg, images, 5 * block - 3)), 2)
        images = F.relu(_conv(vgg, images, 5 * block))
        found.append(images)
    return found


def _conv(vgg: dict[str, Tensor], images: Tensor, number: int) -> Tensor:
    return F.conv2d(images, *(vgg[f"features.{number}.{one}"].to(images) for one in ("weight", "bias")), padding=1)


def _for_all() -> Path:
    """A file that lies there as long as this process lives, and not those that it forks."""
    folder, owner = Path(tempfile.mkdtemp(prefix="translate-tiny-")), os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    return vgg_file(folder / "vgg.pth")[0]


VGG = _for_all()
"""Of tiny discriminators that see by a frozen classifier."""
