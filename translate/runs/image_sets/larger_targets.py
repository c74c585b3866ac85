"""Checks, before the first step, that targets are as many times larger than their inputs as the generator enlarges."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from translate.data.checks.looking import size_of
from translate.data.checks.scan import Attempt, failures, of_each
from translate.data.decoding import require_crop, require_sizes
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.networks.srresnet import SRResnetSettings
from translate.runs.image_sets.image_set import ImageSet
from translate.utils.printing import shown

FACTORS: tuple[int, ...] = get_args(SRResnetSettings.model_fields["scale"].annotation)
"""By which a generator enlarges."""
LOOKED = 64
"""Pairs, evenly spread, whose factor is looked at."""


def require_smaller_inputs(images: ImageSet) -> None:
    """Raises ConfigurationError, which says how to swap them, if the inputs are larger than the targets."""
    given, target = images.kind(0), images.kind(1)
    if given.scale and target.scale and given.scale.height > target.scale.height:
        sizes = [f"{kind.name} has {kind.scale.width} x {kind.scale.height}" for kind in (given, target) if kind.scale]
        raise ConfigurationError(
            f"{images.settings.set}: the input {sizes[0]} pixels and the target {sizes[1]}, where targets have to be "
            f"{images.scale} times as high and wide as inputs: set {_swapped(images)}"
        )


def require_factor(images: ImageSet) -> None:
    """Raises ConfigurationError, which says the factor, if the targets of pairs that are not resized are all larger by
    another one than the generator enlarges by; reads headers only."""
    pairs = _unresized_pairs(images)
    found = set(of_each(_factor, pairs[:: -(-len(pairs) // LOOKED) or 1]))
    if len(found) == 1 and (factor := found.pop()) != images.scale and factor in FACTORS:
        raise ConfigurationError(
            f"{shown(str(images.settings.set))}: targets are {factor} times as high and wide as their inputs, and the "
            f"generator makes its images {images.scale} times: set model.generator.scale={factor}"
        )


def misfits(images: ImageSet) -> dict[Path, str]:
    """The reasons why images that are not resized cannot be trained on: no crop fits, or a pair does not go together;
    reads headers only."""
    if images.settings.resize != "none":
        return {}
    held, crops = images.kinds_in_files, {}
    for number, sources in enumerate(images.trained_on().values()):
        crop = images.settings.crop.over(held[min(number, len(held) - 1)].reduced)
        crops.update({one.path: (crop, one) for one in sources})

    def attempt(path: Path) -> Attempt:
        crop, source = crops[path]
        return path, lambda: require_crop(crop, source, *size_of(source))

    return {**unlike(images), **failures(list(map(attempt, crops)), images.settings.workers, lambda: None)}


def unlike(images: ImageSet) -> dict[Path, str]:
    """The reasons, by target, why pairs that are not resized do not go together; reads headers only. Those of files
    that cannot be read are left to others."""
    attempts = [(pair[-1].path, partial(_require_sizes, images, pair)) for pair in _unresized_pairs(images)]
    return failures(attempts, images.settings.workers, lambda: None)


def _unresized_pairs(images: ImageSet) -> list[tuple[Readable, ...]]:
    """The pairs of files of which a generator is to enlarge the first; none if the sizes of files do not matter."""
    data = images.settings
    if images.scale == 1 or not images.batch_type.pairs or data.resize != "none" or data.derive is not None:
        return []
    return list(zip(*images.columns().values(), strict=True))


def _factor(pair: Sequence[Readable]) -> int:
    """How many times as high and wide as the input its target is; 0 if it is not a whole number of times."""
    (height, width), (rows, columns) = size_of(pair[0]), size_of(pair[-1])
    times = rows // height
    return times if (rows, columns) == (height * times, width * times) else 0


def _require_sizes(images: ImageSet, pair: Sequence[Readable]) -> None:
    sizes = [size_of(one) for one in pair]
    require_sizes(pair, sizes, [images.kind(number).reduced for number in range(len(pair))])


def _swapped(images: ImageSet) -> str:
    """The settings that swap both domains."""
    (given, target), data = images.domains, images.settings
    if data.roles:
        return f"data.input=[{target}] data.target=[{given}]"
    if images.batch_type.pairs:
        return f"data.direction={'AtoB' if data.direction == 'BtoA' else 'BtoA'}"
    return f"data.domains=[{target},{given}]"
