"""Checks every image of a data set before the first step, and reports all unreadable ones together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from translate.data.checks.labels import empty, tiny
from translate.data.checks.looking import layers_of
from translate.data.checks.poor import enlarged, too_few
from translate.data.checks.scan import Attempt, Look, decoding, failures, headers, noting
from translate.data.checks.shades import mostly_black, stretching
from translate.data.domain import Domain
from translate.data.io.images import ANIMATED
from translate.data.io.values import DEEP, UNIT, Span
from translate.data.labelled import LabelledFolder
from translate.data.layers import files_of, in_layers
from translate.data.loader import Loader
from translate.data.messages import NAMED, by_fault, counted, few
from translate.data.source import Readable
from translate.data.source_file import Source
from translate.errors import ConfigurationError, command
from translate.runs.image_sets import Batches, ImageSet, spanned
from translate.runs.image_sets.larger_targets import misfits, unlike
from translate.utils.printing import Log, shown
from translate.utils.progress import Progress

THOROUGH = 20_000
"""Most images that are all decoded; of larger sets only headers are read, as decoding would cost an epoch."""
SAMPLED = 64
"""Images of a domain that are looked at for shades, where only headers are read."""


def unreadable(images: ImageSet, loader: Batches, log: Log, quiet: bool = False) -> dict[str, str]:
    """Returns the unreadable images: path and reason. Raises ConfigurationError for them unless `data.skip_bad`.

    Images decoded by `loader` stay in its cache as far as they fit. Warns of animated files, and of domains that are
    nearly black or hold images of one colour.
    """
    attempts, how = _attempts(images, loader)
    if not attempts:
        return {}
    several: set[Path] = set()
    looks: dict[int, Look] = {}
    files = {one.path for source in images.sources() for one in files_of(source) if isinstance(one, Source)}
    tried = noting(attempts, looks, files, several)
    with Progress(len(attempts), unit="image", label=f"checking images, {how}", quiet=quiet) as bar:
        found = failures(tried, images.settings.workers, lambda: bar.advance(1, images=1))
    found = {**unlike(images), **found}
    for line in _dark_or_flat(images, looks):
        log(f"warning: {line}")
    if several:
        log(f"note: {shown(str(images.settings.set))}: {ANIMATED}: {few(sorted(several))}")
    return _refused(images, _by_layer(images, found), log)


def too_small(images: ImageSet, log: Log) -> dict[str, str]:
    """Like `unreadable`, of images that no crop fits, where they are not resized; reads headers only."""
    return _refused(images, misfits(images), log)


def _refused(images: ImageSet, found: Mapping[Path, str], log: Log) -> dict[str, str]:
    """The reasons by path. Raises ConfigurationError that lists them, unless `data.skip_bad`."""
    bad = {str(path): reason for path, reason in found.items()}
    if not bad:
        return {}
    head = f"{shown(str(images.settings.set))}: {counted(len(bad), 'image')} cannot be used:"
    lines = "\n  ".join([head, *by_fault(found, NAMED)])
    if not images.settings.skip_bad:
        raise ConfigurationError(f"{lines}\nrepair or remove them, or leave them out with --skip-bad")
    log(f"warning: {lines}\nleft out, with their partners and labels; skipped.txt in the run's folder lists all")
    return bad


def in_advance(images: ImageSet) -> Iterator[str]:
    """What is to be known of the training images before all are tried, as lines for the user."""
    found = [*too_few(images.trained_on()), *enlarged(layers_of(images.kinds_in_files), images.settings)]
    for folder in images.folders[:1] if images.batch_type.labelled() else ():
        assert isinstance(folder, LabelledFolder)
        found += empty(folder)
        yield from (f"note: {line}" for line in tiny(folder))
    yield from (f"warning: {line}" for line in found)


def _by_layer(images: ImageSet, found: Mapping[Path, str]) -> dict[Path, str]:
    """The reasons by the file of a sample that each one begins with, not by the sample's first."""
    layers = {source.path: [one.path for one in files_of(source)] for source in images.sources()} if found else {}

    def blamed(path: Path, reason: str) -> Path:
        return next((one for one in layers.get(path, ()) if reason.startswith(f"{shown(one)}: ")), path)

    return {blamed(path, reason): reason for path, reason in found.items()}


def _dark_or_flat(images: ImageSet, looks: Mapping[int, Look]) -> Iterator[str]:
    """Says which domains are nearly black or hold images of one colour, and what helps, by what was seen of the first
    attempts, which are those of the training images; of a sample, if only headers were read."""
    seen, place = {}, 0
    for number, (name, sources) in enumerate(images.trained_on().items()):
        found = [looks[row] for row in range(place, place + len(sources)) if row in looks]
        place += len(sources)
        whole = _kind(images, number)
        for kind, (layer, files) in zip(whole.parts, in_layers({name: sources}).items(), strict=True):
            alone = found if kind is whole else []
            seen[layer] = kind, alone or _sampled(files, kind, images.settings.workers)
    deep = max((one.white for _, found in seen.values() for one in found if one.full == DEEP), default=0)
    for name, (kind, found) in seen.items():
        if kind.numbered or kind.sound:
            continue
        cures = {DEEP: f"; set data.range=[0,{stretching(deep)}] for all"} if kind.span == UNIT else {}
        if len(images.kinds) == 2:
            cures[255] = f"; if they hold numbers of classes, set data.domains.{name}.kind=labels"
        for full, dark in mostly_black([(one.full, _value(one, kind.span)) for one in found], kind.span):
            yield f"{name}: {dark}{cures.get(full, '')}"
        if flat := sum(one.flat for one in found):
            check = command("data", "check", images.settings.set)
            yield f"{name}: {flat} of {len(found)} images looked at are of one colour all over; {check} names them"


def _kind(images: ImageSet, number: int) -> Domain:
    """What the files of that column are."""
    return images.kinds_in_files[min(number, len(images.kinds_in_files) - 1)]


def _value(look: Look, span: Span) -> float:
    """The brightest shade, of more than 8 bits as a value of the span that it stands for."""
    if look.full != DEEP or span == UNIT:
        return look.white
    return span[0] + (span[1] - span[0]) * look.white / DEEP


def _sampled(sources: Sequence[Readable], kind: Domain, workers: int) -> list[Look]:
    looks: dict[int, Look] = {}
    (sample,) = spanned([sources[:: -(-len(sources) // SAMPLED)]] if sources else [[]], [kind])
    failures(noting(decoding(sample, kind.channels), looks, (), set()), workers, lambda: None)
    return list(looks.values())


def _attempts(images: ImageSet, loader: Batches) -> tuple[list[Attempt], str]:
    """Returns the attempts that try every image, and a description of them."""
    found = list(images.columns().values())
    columns = spanned(found, [_kind(images, number) for number in range(len(found))])
    layers = [
        (part, [files_of(source)[place] for source in column])
        for number, column in enumerate(columns)
        for place, part in enumerate(_kind(images, number).parts)
    ]
    every = [source for _, files in layers for source in files]
    pairs = loader.attempts_at_pairs() if isinstance(loader, Loader) else []
    if len(every) > THOROUGH:
        maps = [source for part, files in layers if part.numbered for source in files]
        tried = [*headers(every), *decoding(maps, 1)]  # a number that is none is known to be one now or never
        return [
            *tried,
            *pairs,
        ], f"headers only, as there are more than {THOROUGH:,}{', and all maps of numbers' * bool(maps)}"
    attempts = loader.attempts() if isinstance(loader, Loader) else []
    loaded = {path for path, _ in attempts}
    for number, column in enumerate(columns):
        others = [source for source in column if source.path not in loaded]
        attempts += decoding(others, _kind(images, number).channels)
    firsts = {source.path for column in columns for source in column}
    attempts += headers(source for source in every if source.path not in firsts)  # which may hold several frames
    return [*attempts, *pairs], "each decoded"
