"""Checks, before the first step, that targets are as many times larger than their inputs as the generator enlarges."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from translate.data.checks.looking import size_of
from translate.data.checks.scan import failures
from translate.data.decoding import require_sizes
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.runs.image_sets.image_set import ImageSet


def require_smaller_inputs(images: ImageSet) -> None:
    """Raises ConfigurationError, which says how to swap them, if the inputs are larger than the targets."""
    given, target = images.kind(0), images.kind(1)
    if given.scale and target.scale and given.scale.height > target.scale.height:
        sizes = [f"{kind.name} has {kind.scale.width} x {kind.scale.height}" for kind in (given, target) if kind.scale]
        raise ConfigurationError(
            f"{images.settings.set}: the input {sizes[0]} pixels and the target {sizes[1]}, where targets have to be "
            f"{images.scale} times as high and wide as inputs: set {_swapped(images)}"
        )


def unlike(images: ImageSet) -> dict[Path, str]:
    """The reasons, by target, why pairs that are not resized do not go together; reads headers only. Those of files
    that cannot be read are left to others."""
    data = images.settings
    if images.scale == 1 or not images.batch_type.pairs or data.resize != "none" or data.derive is not None:
        return {}
    attempts = [
        (pair[-1].path, partial(_require_sizes, images, pair)) for pair in zip(*images.columns().values(), strict=True)
    ]
    return failures(attempts, data.workers, lambda: None)


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
