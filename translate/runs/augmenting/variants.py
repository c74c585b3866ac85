"""What a set of models can make of a labelled picture: other domains in turn, other models, other noise."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch

from translate.data.annotated import AnnotatedSet, Original
from translate.data.annotated.masks import MaskSet
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.models.base import ImageSpec, Relabeller, Request
from translate.models.labels import Labels
from translate.utils.printing import Log, shown

_TRIED = 64
"""At least so many pixels a side are tried to see whether a model keeps sizes."""


@dataclass(frozen=True)
class Loaded:
    """A model that translates, as the command names it."""

    run: Path
    converter: Converter


@dataclass(frozen=True, eq=False)
class Way:
    """One translation that a model can make of a picture."""

    loaded: Loaded
    request: Request

    @property
    def to(self) -> list[str]:
        """As `--to` names it."""
        return self.request.names(self.images.domains)

    @property
    def images(self) -> ImageSpec:
        return self.loaded.converter.images

    @property
    def draws_noise(self) -> bool:
        return self.loaded.converter.model.draws_noise

    def source(self, original: Original) -> Path:
        """The file that is translated: the picture, or its mask, if that is what the model takes."""
        return original.mask if self.images.to_translate(self.request).numbered and original.mask else original.path

    def changes(self, labelled: AnnotatedSet, original: Original) -> Mapping[str, bool] | None:
        """What of the picture's labels is set and cleared; None if the translation would be to what it is already, or
        from what the model does not know.

        Nothing if the model translates to no class and no attribute of the set: labels stay.
        """
        domains = self.images.domains
        if not {domains[number] for number in self.request.domains} & set(labelled.domains):
            return {}
        if labelled.exclusive:
            return self._to_class(original)
        before = torch.tensor([[float(original.labels.get(name, -1)) for name in domains]])
        after = before.clone()
        if self.images.groups:
            after = Labels(self.images).change(before, self.request)
        for number in self.request.domains:
            after[:, number] = float(number in self.request.set)
        if all(before[0, number] == after[0, number] for number in self.request.domains):
            return None
        changed = ((name, int(was), int(now)) for name, was, now in zip(domains, before[0], after[0], strict=True))
        return {name: now == 1 for name, was, now in changed if name in original.labels and now not in (was, -1)}

    def _to_class(self, original: Original) -> Mapping[str, bool] | None:
        target = self.images.domains[min(self.request.set)]
        own = next(name for name, has in original.labels.items() if has == 1)
        if own == target or own not in self.images.domains:
            return None
        return {own: False, target: True}


@dataclass(frozen=True, eq=False)
class Pick:
    """A translation that is to be made: by which way, with which noise, and what it changes of the labels."""

    way: Way
    seed: int
    changes: Mapping[str, bool]

    def tag(self, several: bool) -> str:
        """Stands behind the name of the picture; with the run's name where there are `several`."""
        words = [re.sub(r"[^\w+-]", "-", word, flags=re.ASCII) for word in self.way.to]
        run = [re.sub(r"[^\w-]", "-", self.way.loaded.run.resolve().name, flags=re.ASCII)] if several else []
        return "-".join([*run, "_".join(words), *([str(self.seed + 1)] if self.seed else [])])


def ways_of(models: Sequence[Loaded], to: Sequence[str], labelled: AnnotatedSet) -> list[Way]:
    """All translations that the models make, of each target the models in turn.

    `to`: the targets, each a domain, or attributes with commas between them; by default all that the model has, if it
    takes pictures of any domain, or the set's classes are its domains. Raises ConfigurationError for a target that no
    model knows, and for a model that takes or gives something else than pictures, or needs to be told the target.
    """
    per_model = [_requests(loaded, to, labelled) for loaded in models]
    for text in to:
        if not any(text in found for found in per_model):
            models[0].converter.request(text.split(","))  # says what is wrong
    ways = [[Way(loaded, found[text]) for text in found] for loaded, found in zip(models, per_model, strict=True)]
    for loaded, its in zip(models, ways, strict=True):
        if not its:
            raise ConfigurationError(f"{shown(loaded.run)}: converts to nothing of what --to names; leave the run out")
    for way in chain.from_iterable(ways):
        _require_pictures(way, labelled)
    longest = max(map(len, ways))
    return [its[turn] for turn in range(longest) for its in ways if turn < len(its)]


def _requests(loaded: Loaded, to: Sequence[str], labelled: AnnotatedSet) -> dict[str, Request]:
    """The requests that a model takes, by the words that name them."""
    converter = loaded.converter
    if to:
        known = {*converter.targets, *(f"-{name}" for name in converter.targets)}
        return {text: converter.request(text.split(",")) for text in to if known.issuperset(text.split(","))}
    targets, model = converter.targets, converter.model
    if isinstance(model, Relabeller):
        labels = Labels(converter.images)
        names = [name for number in model.targets() for name in _both_ways(converter.images, number, labels)]
        return {name: converter.request([name]) for name in names}
    if labelled.exclusive and len(set(targets) & set(labelled.domains)) > 1:
        return {name: converter.request([name]) for name in targets}
    return {"": converter.request(None)}  # says that --to is needed, if it is


def _both_ways(images: ImageSpec, number: int, labels: Labels) -> list[str]:
    name = images.domains[number]
    return [name, f"-{name}"] if labels.has_opposite(number) else [name]


def _require_pictures(way: Way, labelled: AnnotatedSet) -> None:
    given, target, run = way.images.to_translate(way.request), way.images.translated(way.request), way.loaded.run
    if given.layers or target.layers:
        raise ConfigurationError(f"{shown(run)}: translates samples of several images; augment takes single pictures")
    if target.numbered:
        raise ConfigurationError(f"{shown(run)}: translates to {target}; augment needs a model that gives pictures")
    if given.numbered and not isinstance(labelled, MaskSet):
        raise ConfigurationError(
            f"{shown(run)}: takes {given}, and {shown(labelled.root)} holds {labelled.called}, no masks beside pictures"
        )
    if labelled.keeps_size:
        _require_same_size(way)


def _require_same_size(way: Way) -> None:
    """Raises ConfigurationError if translations have another size, so that places in pixels would be wrong."""
    channels, model = way.images.to_translate(way.request).channels, way.loaded.converter.model
    side = model.stride * -(-_TRIED // model.stride)
    made = way.loaded.converter.convert_floats(torch.zeros(1, channels, side, side), way.request)
    if made.shape[-2:] != (side, side):
        raise ConfigurationError(
            f"{shown(way.loaded.run)}: makes {made.shape[-1]} x {made.shape[-2]} pixels of {side} x {side}, so that "
            "boxes and masks, which are places in pixels, would no longer fit"
        )


def pick(ways: Sequence[tuple[Way, Mapping[str, bool]]], start: int, copies: int) -> list[Pick]:
    """At most `copies` different translations: from way `start` on one after another, and then, of models that draw
    noise, with other noise."""
    turned = [ways[(start + number) % len(ways)] for number in range(len(ways))]
    chosen: list[Pick] = []
    seed = 0
    while turned and len(chosen) < copies:
        chosen += [Pick(way, seed, changes) for way, changes in turned][: copies - len(chosen)]
        turned, seed = [(way, changes) for way, changes in turned if way.draws_noise], seed + 1
    return chosen


def say_what_changes(ways: Sequence[Way], labelled: AnnotatedSet, log: Log) -> None:
    """Says which labels follow the model, and which stay although the model's targets have their names."""
    named = sorted({name for way in ways for number in way.request.domains for name in [way.images.domains[number]]})
    followed = [name for name in named if name in labelled.domains]
    if followed:
        what = "go into the folder of their new class" if labelled.called == "class folders" else "get the new label"
        kinds = "classes" if labelled.exclusive else "attributes"
        log(f"translations to {', '.join(followed)}, which are {kinds} of the set, {what}")
    if stay := [name for name in named if name in labelled.categories]:
        log(
            f"warning: {', '.join(stay)}: named in the labels, too, which stay as they are: what the model turns into "
            f"{stay[0]} keeps its old name in boxes"
        )
