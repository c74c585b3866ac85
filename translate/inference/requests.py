"""What users name, domains to convert to and attributes to set and clear, as a `Request`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from translate.errors import ConfigurationError, nearest
from translate.models.base import ImageTranslator, Request


def request_of(
    to: str | Sequence[str] | None, model: ImageTranslator, domains: Sequence[str], steps: int | None = None
) -> Request:
    """The request that `to` names: domains to set, and to clear ("-Male"); none names the model's only target. `steps`
    as in `Request`.

    Raises ConfigurationError, naming the known domains, for an unknown one, and if the model cannot do it; TypeError
    for a domain that is not a string.
    """
    numbers = {domains[number]: number for number in model.targets()}
    known = " or ".join(numbers)
    wanted = list(to or ()) if isinstance(to, Iterable | None) and not isinstance(to, str) else [to]
    if strange := [name for name in wanted if not isinstance(name, str)]:
        kind = type(strange[0]).__name__
        raise TypeError(f"to={strange[0]!r}: expected the name of a domain, {known}, not {kind}")
    if not wanted and len(numbers) > 1:
        raise ConfigurationError(f"--to is needed: this model converts to {known}")
    wanted = wanted or list(numbers)
    cleared = {name for name in wanted if name not in numbers and name.startswith("-")}
    for name in wanted:
        if (bare := name.removeprefix("-") if name in cleared else name) not in numbers:
            raise ConfigurationError(f"--to {name}: this model converts to {known}{nearest(bare, numbers)}")
    request = Request(
        frozenset(numbers[name] for name in wanted if name not in cleared),
        frozenset(numbers[name.removeprefix("-")] for name in cleared),
        steps=steps,
    )
    if request.set & request.clear:
        raise ConfigurationError(f"--to {' --to '.join(wanted)}: an attribute is set or cleared, not both")
    model.require(request, domains)
    return request
