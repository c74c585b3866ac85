"""Pairs of sounds: what is asked of a set, and how translations are measured beside the clean sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
import torch

from translate.data.domain import Domain
from translate.data.io.images import to_float, to_pixels
from translate.data.layouts.folders import Split
from translate.data.sound.files import Facts, read
from translate.data.sound.finding import require_alike
from translate.data.sound.level import loudness_of
from translate.data.sound.source import Sound
from translate.data.sound.spectrum import Spectrum
from translate.data.sound.translating import translated
from translate.errors import ConfigurationError, ImageError
from translate.evaluation.intervals import bootstrap_mean
from translate.evaluation.sound_measures import ideally_masked, si_sdr, stoi
from translate.evaluation.table import Protocol, Score, score
from translate.inference.padding import pad, padded_size
from translate.models.base import Translator
from translate.runs.image_sets.image_set import ImageSet
from translate.training.runtime import Runtime

MEASURE = "si_sdr"
FLOOR, CEILING = "noisy input", "ideal ratio mask"
Pair = tuple[Sound, Sound]


def require_pairs_of_sound(images: ImageSet) -> None:
    """Raises ConfigurationError unless the method learns from pairs, both of sound, which last equally long."""
    domains = " and ".join(f"{kind.name} holds {kind}" for kind in images.kinds)
    if not images.batch_type.pairs:
        raise ConfigurationError(
            f"{images.settings.set}: {domains}; sound is learned from pairs only: train with the recipe speech"
        )
    if not all(kind.sound for kind in images.kinds):
        raise ConfigurationError(f"{images.settings.set}: {domains}: pairs are two images or two sounds")
    for folder in images.folders:
        for split in folder.splits.values():
            require_alike(cast("Split", split))


def holding_crops(split: Sequence[Sequence[Any]], frames: int, count: int) -> Split:
    """The first `count` pairs that hold a crop of so many frames."""
    pairs = (pair for pair in zip(*split, strict=True) if not any(_too_short(one, frames) for one in pair))
    chosen = [pair for pair, _ in zip(pairs, range(count), strict=False)]
    return tuple(zip(*chosen, strict=True))


def _too_short(source: Sound, frames: int) -> bool:
    try:
        return bool(source.too_short(frames))
    except ImageError:
        return True


@dataclass(frozen=True)
class SoundDirection:
    """Translation of whole test files to domain number `to`, at their own rate and length, beside their true
    translations."""

    name: str
    to: int
    pairs: Sequence[Pair]
    spectrum: Spectrum
    level: float | None = None
    """That the model learned from, see `Domain`."""

    @property
    def protocol(self) -> str:
        return f"{len(self.pairs)} test files, whole and at their own rate, the mean of their channels; {self._how}"

    @property
    def _how(self) -> str:
        return f"translated as {self.spectrum}"

    def measure(self, model: Translator, runtime: Runtime) -> dict[str, float]:
        """The mean of both measures over the test files."""
        return _means(self._measured(self._through(model, runtime)))

    def baselines(self) -> dict[str, dict[str, float]]:
        """The same of the noisy input, and under the ideal ratio mask."""
        return {name: _means(found) for name, found in self._references.items()}

    def scores(self, model: Translator, runtime: Runtime, protocol: Protocol) -> list[Score]:
        """The measures with intervals, above the noisy input and below the ideal ratio mask."""
        found = self._measured(self._through(model, runtime))
        how = {**protocol, "resize": "whole files at their own rate", "translated": self._how}
        scores = []
        for key, values in found.items():
            known = np.isfinite(values)
            note = f"{int((~known).sum())} files too short or too silent for it" if not known.all() else ""
            if not known.any():
                scores.append(score(key, self.name, None, protocol=how, note=note))
                continue
            floor, ceiling = ({name: float(self._references[name][key][known].mean())} for name in (FLOOR, CEILING))
            value = bootstrap_mean(torch.from_numpy(values[known]))
            scores.append(score(key, self.name, value, floor=floor, ceiling=ceiling, protocol=how, note=note))
        return scores

    def _through(self, model: Translator, runtime: Runtime) -> Callable[..., np.ndarray]:
        """Translates noisy samples as `convert` does."""
        network = partial(_network, model, runtime, self.to)

        def through(noisy: np.ndarray, clean: np.ndarray, rate: int, spectrum: Spectrum) -> np.ndarray:
            (loudness,) = loudness_of([noisy[:, None]], rate, spectrum.rate)
            return translated(noisy, rate, spectrum, network, gain=loudness.gain(self.level))

        return through

    @cached_property
    def _references(self) -> dict[str, dict[str, np.ndarray]]:
        return {
            FLOOR: self._measured(lambda noisy, clean, rate, spectrum: noisy),
            CEILING: self._measured(ideally_masked),
        }

    def _measured(self, made: Callable[..., np.ndarray]) -> dict[str, np.ndarray]:
        """Both measures of what is made of each pair's noisy and clean samples, at their rate."""
        rows = []
        for noisy, clean, facts in self._samples():
            samples = made(noisy, clean, facts.rate, self.spectrum)
            samples = samples if facts.floating else samples.clip(-1, 1)  # as it is delivered
            rows.append((si_sdr(samples, clean), stoi(samples, clean, facts.rate)))
        return dict(zip((MEASURE, "stoi"), np.array(rows, np.float64).reshape(-1, 2).T, strict=True))

    def _samples(self) -> Iterator[tuple[np.ndarray, np.ndarray, Facts]]:
        for pair in self.pairs:
            (noisy, facts), (clean, _) = (read(one.path) for one in pair)
            yield noisy.mean(1), clean.mean(1), facts


def sound_directions(
    model: Translator, domains: Sequence[str], split: Sequence[Sequence[Any]], kinds: Sequence[Domain]
) -> list[SoundDirection]:
    """One for each domain that the model translates to; `split` holds pairs of sound, and `kinds` says of which."""
    return [
        SoundDirection(f"to {domains[to]}", to, [*zip(split[1 - to], split[to], strict=True)], sound, given.level)
        for to in model.targets()
        if (given := kinds[1 - to]) and (sound := given.sound)
    ]


def _means(found: dict[str, np.ndarray]) -> dict[str, float]:
    known = {key: values[np.isfinite(values)] for key, values in found.items()}
    return {key: float(values.mean()) for key, values in known.items() if len(values)}


@torch.no_grad()
def _network(model: Translator, runtime: Runtime, to: int, pixels: np.ndarray) -> np.ndarray:
    """The model's translation of a spectrogram (frames, bins, channels), uint16."""
    planes = to_float(torch.from_numpy(pixels)).permute(2, 0, 1)[None]
    height, width = planes.shape[-2:]
    padded = pad(planes, *padded_size(height, width, model.stride))
    with runtime.autocast():
        made = model.convert(runtime.layout(padded.to(runtime.device)), to).float().cpu()
    return to_pixels(made[0, :, :height, :width], torch.uint16).permute(1, 2, 0).numpy()
