"""What a generator's file of the PyTorch port does not hold: whether it was trained with dropout, and at which size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from translate.networks.blocks import BatchNorm2d
from translate.networks.unet import UNetGenerator

_FILES = ("train_opt.txt", "opt.txt", "test_opt.txt")
"""Where the port's scripts write all their options, beside the weights; `opt.txt` in its first years."""
_LARGEST = 1 << 16
_LINE = re.compile(r"\s*(\w+): ([^\t\n]*)")


def options_beside(path: Path) -> tuple[str, dict[str, str]]:
    """The name of the port's file of options beside the weights, and what it says; empty if there is none.

    Only for files named as the port names them, so that another project's opt.txt is not believed.
    """
    if not re.search(r"_net_G(_[AB])?\.pth$", path.name):
        return "", {}
    for name in _FILES:
        beside = path.with_name(name)
        if beside.is_file():
            with beside.open(encoding="utf-8", errors="replace") as file:
                lines = file.read(_LARGEST).splitlines()
            found = (_LINE.match(line) for line in lines)
            return name, {line[1]: line[2].strip() for line in found if line}
    return "", {}


def trained_with_dropout(path: Path, network: UNetGenerator, options: Mapping[str, str]) -> tuple[bool, str]:
    """Whether a U-Net was most likely trained with dropout, which its weights do not show, and why."""
    kind = options.get("netG") or options.get("which_model_netG") or ""
    if options.get("no_dropout") in ("True", "False") and kind.startswith("unet"):
        return options[
            "no_dropout"
        ] == "False", f"no_dropout is {options['no_dropout']} in the file of options beside it"
    if re.search(r"_net_G_[AB]\.pth$", path.name):
        return False, "it is named as a CycleGAN's, which the port trains without"
    if any(isinstance(module, BatchNorm2d) for module in network.modules()):
        return True, "it has the batch norm of pix2pix, which the port trains with dropout"
    return False, "it has the norm of CycleGAN, which the port trains without"


def size_in(options: Mapping[str, str]) -> str | None:
    """The side of the crops that it was trained at, if the options say."""
    said = options.get("crop_size") or options.get("fineSize") or ""
    return said if said.isdecimal() else None
