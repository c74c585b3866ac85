"""The further images of samples, as `--with NAME=DIR` gives them: partners have a file's name, with any suffix."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from translate.data.domain import Domain
from translate.data.layouts.columns import same_letters
from translate.errors import ConfigurationError, command, nearest
from translate.utils.printing import shown

Beside = Mapping[str, Path | None]
"""The further images of a sample, by layer; None of those that are not there."""


class Partners:
    """Where the images of each further layer are, in the order given: a folder with these names, or a single file."""

    def __init__(self, places: Mapping[str, Path], names: Mapping[str, Sequence[str]]) -> None:
        self.places = dict(places)
        self._names = {layer: sorted(found, key=_stem) for layer, found in names.items()}

    def __call__(self, name: str) -> Beside:
        """The partners of the file of that name, relative to its folder."""
        alike = {layer: self._alike(layer, name) for layer in self._names}
        return self._single | {layer: self.places[layer] / of[0] if of else None for layer, of in alike.items()}

    def files(self) -> Iterator[str]:
        """All images, as paths."""
        yield from map(str, self._single.values())
        for layer, names in self._names.items():
            yield from (os.path.join(self.places[layer], name) for name in names)

    @property
    def folders(self) -> list[Path]:
        return [self.places[layer] for layer in self._names]

    @property
    def _single(self) -> dict[str, Path]:
        return {layer: place for layer, place in self.places.items() if layer not in self._names}

    def refuse_ambiguous(self, source: Path, names: Sequence[str]) -> None:
        """Raises ConfigurationError, with both names, for two files in `source` with the same partner, and for a file
        with two partners."""
        for one, other in pairwise(sorted(names, key=_stem) if self._names else ()):
            if _stem(one) == _stem(other):
                raise ConfigurationError(f"{_both(source, one, other)}: the same but for the suffix; rename one")
        for layer, folder in zip(self._names, self.folders, strict=True):
            for name in names:
                if len(found := self._alike(layer, name)) > 1:
                    both = _both(folder, *found[:2])
                    raise ConfigurationError(f"{both}: either could be of {shown(source / name)}; rename one")

    def _alike(self, layer: str, name: str) -> Sequence[str]:
        names, stem = self._names[layer], _stem(name)
        return names[bisect_left(names, stem, key=_stem) : bisect_right(names, stem, key=_stem)]


ALONE = Partners({}, {})
"""Of files that are samples by themselves."""


def require_there(places: Mapping[str, Path], source: Path) -> None:
    """Raises ConfigurationError unless each is there, is a folder where `source` is one, and is not `source`."""
    for layer, place in places.items():
        if not place.exists():
            raise ConfigurationError(f"--with {layer}={shown(place)}: no such file or folder")
        if place.samefile(source):
            raise ConfigurationError(f"--with {layer}={shown(place)}: is INPUT; name each folder once")
        if source.is_dir() and not place.is_dir():
            raise ConfigurationError(f"--with {layer}={shown(place)}: a file, where INPUT is a folder; name a folder")


def require_layers(given: Domain, places: Mapping[str, Path], source: Path, words: Sequence[object]) -> None:
    """Raises ConfigurationError unless `places` names the layers of samples, all but that of `source`. `words`: the
    command without its layers, for the message."""
    names = [layer.name for layer in given.layers]
    for name in places:
        if not names:
            raise ConfigurationError(f"--with {name}: this model takes single images; leave it out")
        if name not in names:
            raise ConfigurationError(f"--with {name}: no layer of this model{nearest(name, names)}")
    left = [name for name in names if name not in places]
    if names and not left:
        raise ConfigurationError(f"--with {names[0]}: INPUT holds one of the images itself; leave that out")
    if len(left) < 2:
        return
    own = next((name for name in left if name in source.parts), left[0])
    missing = [name for name in left if name != own]
    guessed = {name: in_place_of(own, name, source) for name in missing}
    options = [f"--with={name}={place}" for name, place in {**places, **guessed}.items()]
    raise ConfigurationError(
        f"this model translates samples of {len(names)} images, {given}; INPUT is {own}, and {' and '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} missing: {command(*words, *options)}"
    )


def in_place_of(own: str, name: str, source: Path) -> Path:
    """Where a layer may lie: where its name stands for that of INPUT's layer, else beside INPUT."""
    if own not in source.parts:
        return source.with_name(name)
    return Path(*(name if part == own else part for part in source.parts))


def _stem(name: str) -> str:
    return same_letters(os.path.splitext(name)[0])


def _both(folder: Path, one: str, other: str) -> str:
    return f"{shown(folder / one)} and {shown(folder / other)}"
