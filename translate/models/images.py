"""What a model is told: the images it is built for, and what a user asks of a translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from translate.data.domain import KINDS, Domain
from translate.data.io.values import UNIT, Span
from translate.data.labels import LabelGroup
from translate.errors import ConfigurationError
from translate.utils.sides import Sides, Size


def no_styles(name: str) -> ConfigurationError:
    """The refusal of a style, by its name, for a model that has none."""
    return ConfigurationError(
        f"--style {name}: this model knows no styles: a picture has one translation; leave --style out"
    )


def no_steps(steps: int) -> ConfigurationError:
    """The refusal of a number of steps, for a model that has none."""
    return ConfigurationError(
        f"--steps {steps}: this model translates an image at once, not in steps; leave --steps out"
    )


@dataclass(frozen=True)
class ImageSpec:
    """The images a model is built for: channels, size of the training crop in pixels (N for squares, or (height,
    width)), and the domains' names.

    `groups`: how the domains are labelled, in order; empty if images have no labels. `alternatives`: sets of domain
    numbers that are mutually exclusive attributes, such as hair colours. `span`: the range of values in floating-point
    files that is mapped to -1 and 1. `each`: what the images of each domain are; one for all if they are alike, and
    empty if `channels` and `span` say all that is known. Where domains have different channels, `channels` is the most
    of them: a method that can take such domains asks `domain`. `given`: what the images to translate are, for a model
    that knows only the domain that it translates to.
    """

    channels: int
    size: Size
    domains: tuple[str, ...]
    groups: tuple[LabelGroup, ...] = ()
    alternatives: tuple[tuple[int, ...], ...] = ()
    span: Span = UNIT
    each: tuple[Domain, ...] = ()
    given: Domain | None = None

    def domain(self, number: int) -> Domain:
        """What the images of domain `number` are."""
        if self.each:
            return replace(self.each[min(number, len(self.each) - 1)], name=self.domains[number])
        return Domain(self.domains[number], self.channels, self.span)

    @property
    def crop(self) -> Sides:
        """`size`, of squares and rectangles."""
        return Sides.of(self.size)

    def side(self, what: str) -> int:
        """The side of a square crop. Raises ConfigurationError, which begins with `what`, for a rectangle."""
        if not self.crop.square:
            raise ConfigurationError(
                f"{what} takes squares, and data.size is {self.crop}: set data.size to one number, such as "
                f"{min(self.crop)}"
            )
        return self.crop.height

    @property
    def kinds(self) -> tuple[Domain, ...]:
        """What the images of each domain are, or those of all."""
        return self.each or tuple(map(self.domain, range(len(self.domains))))

    def translated(self, request: Request) -> Domain:
        """What the images are that fulfil the request."""
        return self.domain(min(request.domains))

    def to_translate(self, request: Request) -> Domain:
        """What the images are that are translated for the request: those of the other domain of two."""
        to = min(request.domains)
        return self.given or self.domain(1 - to if len(self.domains) == 2 else to)

    def require_equal_channels(self, what: str, way_out: str) -> None:
        """Raises ConfigurationError, which begins with `what` and names both ways out, unless the domains have equally
        many channels."""
        kinds = [self.domain(number) for number in range(len(self.domains))]
        if len({kind.channels for kind in kinds}) > 1:
            found = " and ".join(f"{kind.name} has {kind.channels}" for kind in kinds)
            equal = "" if any(kind.channels not in (1, 3) for kind in kinds) else "; or set data.channels: 3 for both"
            raise ConfigurationError(f"{what} needs domains of equally many channels: {found}; {way_out}{equal}")

    def require_no_labels(self, what: str) -> None:
        """Raises ConfigurationError, which begins with `what` and names both ways out, if a domain holds numbers: label
        maps or instance maps."""
        for kind in (part for number in range(len(self.domains)) for part in self.domain(number).parts):
            if kind.numbered:
                raise ConfigurationError(
                    f"{what} takes images, and {kind.name} holds {kind}: train with pix2pix, or set "
                    f"data.domains.{kind.name}.kind: image to take the numbers for shades of grey"
                )

    def require_targets(self, numbers: Sequence[int], other: str) -> None:
        """Raises ConfigurationError if there are no translations to one of these domains; `other`: the setting of
        `data.direction` that swaps the two."""
        for kind in map(self.domain, numbers):
            if not KINDS[kind.kind].target:
                raise ConfigurationError(
                    f"{kind.name} holds {kind}, which can be the input only: set data.direction: {other} to translate "
                    f"from them, or data.domains.{kind.name}.kind: image to take the numbers for shades of grey"
                )

    def require_no_layers(self, what: str) -> None:
        """Raises ConfigurationError, which begins with `what` and names both ways out, for several images a sample."""
        for kind in (self.domain(number) for number in range(len(self.domains))):
            if kind.layers:
                names = ", ".join(layer.name for layer in kind.layers)
                raise ConfigurationError(
                    f"{what} takes one image a sample, and {kind.name} has {len(kind.layers)} ({names}): train with "
                    f"pix2pix, or name one of them: data.input=[{kind.layers[0].name}]"
                )


@dataclass(frozen=True)
class Style:
    """One of the ways in which images of a domain look, for a model that knows styles: the numbers that it takes for
    one, and where they are from, such as "seed:7" or the name and hash of a reference image."""

    code: tuple[float, ...]
    name: str


@dataclass(frozen=True)
class Request:
    """What a user asks of a translation: the domains, by number, to `set` and to `clear`, a `style`, and in how many
    `steps`.

    Any number of attributes, or a single domain to go to. None is the model's own choice of style and steps. What a
    model cannot do, its `require` refuses.
    """

    set: frozenset[int] = frozenset()
    clear: frozenset[int] = frozenset()
    style: Style | None = None
    steps: int | None = None

    @classmethod
    def to(cls, *domains: int) -> Request:
        return cls(frozenset(domains))

    def in_style(self, style: Style) -> Request:
        return replace(self, style=style)

    def in_steps(self, steps: int) -> Request:
        return replace(self, steps=steps)

    @property
    def domains(self) -> frozenset[int]:
        """Those that are mentioned."""
        return self.set | self.clear

    def names(self, domains: Sequence[str]) -> list[str]:
        """The request as `--to` takes it, such as "Blond_Hair" and "-Male"."""
        return [
            *(domains[number] for number in sorted(self.set)),
            *(f"-{domains[number]}" for number in sorted(self.clear)),
        ]
