"""Checks every image of a data set before the first step, and reports all unreadable ones together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from translate.data.checks.scan import Attempt, decoding, failures, headers, noting
from translate.data.checks.shades import nearly_black, stretching
from translate.data.domain import Domain
from translate.data.io.images import ANIMATED
from translate.data.io.values import DEEP, UNIT
from translate.data.layouts.folders import Source
from translate.data.loader import Loader
from translate.data.messages import by_fault, few
from translate.data.source import Readable
from translate.errors import ConfigurationError
from translate.runs.image_sets import Batches, ImageSet, spanned
from translate.utils.printing import Log, shown
from translate.utils.progress import Progress

THOROUGH = 20_000
"""Most images that are all decoded; of larger sets only headers are read, as decoding would cost an epoch."""
SAMPLED = 64
"""Images of a domain that are looked at for shades, where only headers are read."""
NAMED = 20
"""Most kinds of faults that are named."""


def unreadable(images: ImageSet, loader: Batches, log: Log, quiet: bool = False) -> dict[str, str]:
    """Returns the unreadable images: path and reason. Raises ConfigurationError for them unless `data.skip_bad`.

    Images decoded by `loader` stay in its cache as far as they fit. Warns of animated files and nearly black
    domains.
    """
    attempts, how = _attempts(images, loader)
    if not attempts:
        return {}
    several: set[Path] = set()
    whites: dict[int, tuple[int, int]] = {}
    files = {source.path for source in images.sources() if isinstance(source, Source)}
    tried = noting(attempts, whites, files, several)
    with Progress(len(attempts), unit="image", label=f"checking images, {how}", quiet=quiet) as bar:
        found = failures(tried, images.settings.workers, lambda: bar.advance(1, images=1))
    for line in _dark(images, whites):
        log(f"warning: {line}")
    if several:
        log(f"note: {shown(str(images.settings.set))}: {ANIMATED}: {few(sorted(several))}")
    bad = {str(path): reason for path, reason in found.items()}
    if not bad:
        return {}
    faults = by_fault(found)
    listed = [*faults[:NAMED], *([f"and {len(faults) - NAMED} other faults"] if len(faults) > NAMED else [])]
    lines = "\n  ".join([f"{shown(str(images.settings.set))}: {len(bad)} images cannot be read:", *listed])
    if not images.settings.skip_bad:
        raise ConfigurationError(f"{lines}\nrepair or remove them, or leave them out with --skip-bad")
    log(f"warning: {lines}\nleft out, with their partners and labels; skipped.txt in the run's folder lists all")
    return bad


def _dark(images: ImageSet, whites: Mapping[int, tuple[int, int]]) -> Iterator[str]:
    """Says which domains are nearly black, and what helps, by the shades (full, brightest) of the first
    attempts, which are those of the training images; of a sample, if only headers were read."""
    shades, place = {}, 0
    for number, (name, sources) in enumerate(images.trained_on().items()):
        found = [whites[row] for row in range(place, place + len(sources)) if row in whites]
        shades[name] = found or _sampled(sources, images.kind(number), images.settings.workers)
        place += len(sources)
    deep = max((white for found in shades.values() for full, white in found if full == DEEP), default=0)
    cure = f"set data.range=[0,{stretching(deep)}] for all"
    for number, (name, found) in enumerate(shades.items()):
        if images.kind(number).numbered:
            continue
        span = images.kind(number).span
        for top in (255, DEEP):
            white = max((white for full, white in found if full == top), default=0)
            value = white if top == 255 or span == UNIT else span[0] + (span[1] - span[0]) * white / DEEP
            if white and (dark := nearly_black(top, value, span)):
                yield f"{name}: {dark}{f'; {cure}' if top == DEEP and span == UNIT else ''}"


def _sampled(sources: Sequence[Readable], kind: Domain, workers: int) -> list[tuple[int, int]]:
    whites: dict[int, tuple[int, int]] = {}
    (sample,) = spanned([sources[:: -(-len(sources) // SAMPLED)]] if sources else [[]], [kind])
    failures(noting(decoding(sample, kind.channels), whites, (), set()), workers, lambda: None)
    return list(whites.values())


def _attempts(images: ImageSet, loader: Batches) -> tuple[list[Attempt], str]:
    """Returns the attempts that try every image, and a description of them."""
    columns = images.spanned(list(images.columns().values()))
    if sum(map(len, columns)) > THOROUGH:
        every = [source for column in columns for source in column]
        maps = [source for number, column in enumerate(columns) if images.kind(number).numbered for source in column]
        tried = [*headers(every), *decoding(maps, 1)]  # a number that is none is known to be one now or never
        return tried, f"headers only, as there are more than {THOROUGH:,}{', and all maps of numbers' * bool(maps)}"
    attempts = loader.attempts() if isinstance(loader, Loader) else []
    loaded = {path for path, _ in attempts}
    for number, column in enumerate(columns):
        others = [source for source in column if source.path not in loaded]
        attempts += decoding(others, images.kind(number).channels)
    return attempts, "each decoded"
