"""Reads every image of a data set once before the first step, and reports all unreadable ones together.

Also reports files of which only the first frame is used.
"""

from __future__ import annotations

from pathlib import Path

from translate.data.columns import few
from translate.data.folders import Source
from translate.data.images import ANIMATED, shown
from translate.data.loader import Loader
from translate.data.scan import Attempt, decoding, failures, headers, noting_more
from translate.errors import ConfigurationError
from translate.image_sets import Batches, ImageSet, spanned
from translate.progress import Progress, Tell

THOROUGH = 20_000
"""Most images that are all decoded; of larger sets only headers are read, as decoding would cost an epoch."""
NAMED = 20


def unreadable(images: ImageSet, loader: Batches, tell: Tell, quiet: bool = False) -> dict[str, str]:
    """Returns the unreadable images: path and reason. Raises ConfigurationError for them unless `data.skip_bad`.

    Images decoded by `loader` stay in its cache as far as they fit. Tells which files are animated.
    """
    attempts, how = _attempts(images, loader)
    if not attempts:
        return {}
    several: set[Path] = set()
    files = {source.path for source in images.sources() if isinstance(source, Source)}
    tried = noting_more(attempts, files, several)
    label = f"looking through the data set, {how}"
    with Progress(len(attempts), unit="image", label=label, quiet=quiet) as bar:
        found = failures(tried, images.settings.workers, lambda: bar.advance(1, images=1))
    if several:
        tell(f"note: {shown(str(images.settings.set))}: {ANIMATED}: {few(sorted(several))}")
    bad = {str(path): reason for path, reason in found.items()}
    if not bad:
        return {}
    listed = [*list(bad.values())[:NAMED], *([f"and {len(bad) - NAMED} more"] if len(bad) > NAMED else [])]
    lines = "\n  ".join([f"{shown(str(images.settings.set))}: {len(bad)} images cannot be read:", *listed])
    if not images.settings.skip_bad:
        raise ConfigurationError(f"{lines}\nrepair or remove them, or leave them out with --skip-bad")
    tell(f"warning: {lines}\nleft out, with their partners and labels; skipped.txt in the run's folder lists all")
    return bad


def _attempts(images: ImageSet, loader: Batches) -> tuple[list[Attempt], str]:
    """Returns the attempts that try every image, and a description of them."""
    (sources,) = spanned([images.sources()], images.settings.range)
    if len(sources) > THOROUGH:
        return headers(sources), f"headers only, for there are more than {THOROUGH:,}"
    trained = loader.attempts() if isinstance(loader, Loader) else []
    loaded = {path for path, _ in trained}
    others = [source for source in sources if source.path not in loaded]
    return [*trained, *decoding(others, images.settings.channels)], "each decoded"
