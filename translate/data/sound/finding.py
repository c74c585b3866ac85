"""Sound among data sets: the domain of sound files, and what is asked of settings, of pairs, and of their lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from translate.data.domain import Domain
from translate.data.domain_settings import DomainSettings
from translate.data.messages import few
from translate.data.settings import DataSettings
from translate.data.sound.files import facts_of, soundfile
from translate.data.sound.kind import domain_of
from translate.data.sound.settings import SoundSettings
from translate.data.sound.source import Sound
from translate.data.source import Readable
from translate.errors import ConfigurationError, ImageError
from translate.utils.printing import shown


def are_sound(sources: Sequence[Readable]) -> bool:
    """Whether the first of the files, and so all, are sound."""
    return bool(sources) and isinstance(sources[0], Sound)


def domain_in(name: str, sources: Sequence[Readable], said: DomainSettings, data: DataSettings) -> Domain | None:
    """The domain of sound files; None for others. Raises ConfigurationError for settings that do not suit them, and
    for those of sound where there is none."""
    if not are_sound(sources):
        if said.said == "sound":
            raise ConfigurationError(f"data.domains.{name}.kind: sound, and its files are images: leave it out")
        return None
    soundfile()
    _require_suiting(name, said, data)
    return domain_of(name, data.sound.spectrum)


def refuse_idle(kinds: Sequence[Domain], data: DataSettings) -> None:
    """Raises ConfigurationError for settings of sound where there is none."""
    if data.sound != SoundSettings() and not any(kind.sound for kind in kinds):
        raise ConfigurationError(f"data.sound: no effect, as {data.set} holds images; leave it out")


def _require_suiting(name: str, said: DomainSettings, data: DataSettings) -> None:
    spectrum = data.sound.spectrum
    idle = [f"data.domains.{name}.{key}" for key in said.model_dump(exclude_defaults=True) if key != "kind"]
    idle += [f"data.{key}" for key in ("channels", "range") if getattr(data, key) is not None]
    if said.said not in (None, "sound"):
        idle.insert(0, f"data.domains.{name}.kind: {said.said}")
    if idle:
        raise ConfigurationError(f"{', '.join(idle)}: no effect on sound; leave it out")
    if data.resize == "none" and not data.flip and data.crop.width == spectrum.bins:
        return
    frames = data.crop.height if data.crop.width == spectrum.bins else 128
    raise ConfigurationError(
        f"{name} holds sound, whose spectrograms are neither stretched nor mirrored, and have {spectrum.bins} "
        "frequencies: train with the recipe speech, or set data.resize=none, data.flip=false and "
        f"data.size=[{frames},{spectrum.bins}]"
    )


def unlike(pairs: Sequence[Sequence[Readable]]) -> dict[Path, str]:
    """The first files of pairs whose sounds differ in length or rate, and how. Files that cannot be read are passed
    over: they are reported when all are tried."""
    return dict(_unlike(pairs))


def _unlike(pairs: Sequence[Sequence[Readable]]) -> Iterator[tuple[Path, str]]:
    for pair in zip(*pairs, strict=True):
        try:
            first, second = (facts_of(source.path) for source in pair)
        except ImageError:
            continue
        if (first.samples, first.rate) != (second.samples, second.rate):
            a, b = (f"{facts.samples:,} samples at {facts.rate:,} Hz" for facts in (first, second))
            yield pair[0].path, f"{shown(pair[0].path)} has {a}, and {shown(pair[1].path)} {b}"


def require_alike(pairs: Sequence[Sequence[Readable]]) -> None:
    """Raises ConfigurationError for pairs that are not of one length and rate."""
    found = unlike(pairs)
    if found:
        more = f" ({len(found)} pairs are so: {few(list(found))})" if len(found) > 1 else ""
        first = next(iter(found.values()))
        raise ConfigurationError(f"{first}{more}: the two sounds of a pair last equally long; cut them alike")
