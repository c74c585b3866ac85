"""Plans which files are converted and what the outputs are named."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePath, PurePosixPath
from types import MappingProxyType
from typing import Any, overload

from translate.data.clips.video_file import VIDEOS
from translate.data.io.images import WRITABLE
from translate.data.layouts.listing import ListingReport, iterate_images
from translate.data.layouts.subfolders import ARCHIVES
from translate.errors import ConfigurationError, folded
from translate.inference.naming import key_of, output_name, renamed, with_suffix_behind
from translate.inference.options import ImageFormat
from translate.inference.partners import ALONE, Beside, Partners, require_there
from translate.inference.provenance import own_images
from translate.inference.records import Record, Status
from translate.utils.outputs import Inputs, admit, refuse_in_run
from translate.utils.printing import Log, shown
from translate.utils.user_paths import folder_named, named_as_file, said_folder


@dataclass(frozen=True)
class Job:
    source: Path
    output: Path
    name: str
    """The source's path relative to the converted folder, with forward slashes."""
    beside: Beside = field(default_factory=dict)

    def record(self, status: Status, **more: Any) -> Record:
        return Record(self.source, self.output, status, beside=self.beside, **more)


class Jobs(Sequence[Job]):
    """The files to convert: their names, the input folder and the output folder, and the partners of the files.

    Jobs are created on access, so that a million files take little more memory than their names.
    """

    def __init__(
        self,
        source: Path,
        output: Path,
        names: list[str],
        outputs: Callable[[str], str],
        partners: Partners = ALONE,
    ) -> None:
        self.source, self.output, self._names, self._outputs = source, output, names, outputs
        self.partners = partners
        self._of_all_shards = names
        self.inputs = Inputs(self.sources)

    def sources(self) -> Iterable[str]:
        """The files to convert, those of all shards, and their partners."""
        names = (os.path.join(self.source, name) for name in self._of_all_shards)
        return chain(names, self.partners.files())

    def others(self) -> list[Path]:
        """The images in the output folder that are output of none of these jobs, nor of those of other shards, but for
        those in folders that other conversions have marked."""
        ours = {hash(key_of(os.path.join(self.output, self._outputs(name)))) for name in self._of_all_shards}
        return [path for path in own_images(self.output) if hash(key_of(os.fspath(path))) not in ours]

    @property
    def places(self) -> set[str]:
        """The folders in the output folder that are written into."""
        return {os.path.dirname(name) for name in self._names}

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Job: ...

    @overload
    def __getitem__(self, index: slice) -> Jobs: ...

    def __getitem__(self, index: int | slice) -> Job | Jobs:
        if isinstance(index, slice):
            return self._part(self._names[index])
        name = self._names[index]
        return Job(self.source / name, self.output / self._outputs(name), name, self.partners(name))

    def shard(self, number: int, of: int) -> Jobs:
        """Part `number` (1 to `of`) of the jobs, chosen by a hash of the names, so that machines need not coordinate.

        Raises ConfigurationError if `number` is out of range.
        """
        if not 1 <= number <= of:
            raise ConfigurationError(f"--shard {number}/{of}: expected 1/{of} to {of}/{of}")
        return self._part([name for name in self._names if _hash(name) % of == number - 1])

    def within_input(self, log: Log, follow_links: bool) -> Jobs:
        """The jobs without those whose source is, or directly holds, a link to a place outside of the input folder,
        unless links are followed; says which those are. Raises ConfigurationError if none is left."""
        folder = self.source.resolve()
        linked = [name for name in self._names if _leads_out(self.source / name, folder)]
        refused = [] if follow_links else [self.source / name for name in linked]
        report = ListingReport(away=linked if follow_links else [], refused=refused)
        for line in report.notes(self.source, "--no-links"):
            log(f"note: {line}")
        for line in report.warnings(self.source):
            log(f"warning: {line}")
        if follow_links or not linked:
            return self
        if len(linked) == len(self._names):
            raise ConfigurationError(
                f"{shown(self.source)}: there are only links to places elsewhere, which --no-links leaves out"
            )
        left_out = frozenset(linked)
        return self._part([name for name in self._names if name not in left_out])

    def numbered(self, number: int) -> Jobs:
        """The jobs with outputs NAME-`number`, of several translations of each file. Raises as `refuse_inputs`."""
        before = self._outputs

        def outputs(name: str) -> str:
            path = PurePosixPath(before(name))
            return str(path.with_name(with_suffix_behind(PurePath(path.stem), f"-{number}{path.suffix}")))

        part = self._part(self._names)
        part._outputs = outputs
        part.refuse_inputs()
        return part

    def refuse_inputs(self) -> None:
        """Raises ConfigurationError if an output is an input, or would lie among them, by whatever name.

        Looks only at outputs that are there already: no other can be an input.
        """
        if not self.output.is_dir():
            return
        places = sorted(self.places)
        sources = (self.source, *self.partners.folders)
        folders = Inputs(lambda: (os.path.join(source, place) for source in sources for place in places))
        for place in map(self.output.joinpath, places):
            if place in folders:
                raise ConfigurationError(
                    f"{shown(place)}: holds images of the input, perhaps by another name; choose another output folder"
                )
        output = os.fspath(self.output)
        holding = {place for place in places if _holds_any(os.path.join(output, place))}
        for name in self._names if holding else ():
            path = os.path.join(output, self._outputs(name))
            if os.path.dirname(name) in holding and path in self.inputs:
                raise ConfigurationError(
                    f"{shown(path)}: the output is one of the inputs, perhaps by another name; choose another output"
                )

    def _part(self, names: list[str]) -> Jobs:
        part = type(self)(self.source, self.output, names, self._outputs, self.partners)
        part._of_all_shards, part.inputs = self._of_all_shards, self.inputs
        return part


def plan(
    source: Path,
    output: str | Path,
    format: ImageFormat = "same",
    log: Log = lambda line: None,
    follow_links: bool = True,
    beside: Mapping[str, Path] = MappingProxyType({}),
) -> Jobs:
    """The jobs for a file or folder `source`; reports links, and files that are left out, to `log`.

    `beside`: for each further layer of samples its folder, or its file for a single one.

    Raises ConfigurationError if no image is found, if `source` cannot be converted (missing, an archive, a special
    file), if the output would be an input or lie inside it, if it is not clear which files are partners, or if the
    output's name does not fit the format or is that of a file for a folder. A text that ends with a slash names a
    folder in any case.
    """
    if not source.exists():
        raise ConfigurationError(f"{shown(source)}: no such file or folder")
    require_there(beside, source)
    listed = {layer: _images_in(place, log, follow_links) for layer, place in beside.items() if place.is_dir()}
    partners = Partners(beside, listed)
    if source.is_file():
        if source.suffix.lower() in ARCHIVES:
            raise ConfigurationError(f"{shown(source)}: an archive; unpack it first and give the folder")
        target = _single(source, output, format)
        partners.refuse_ambiguous(source.parent, [source.name])
        for path in filter(None, (source, *partners(source.name).values())):
            refuse_same(path, target)
        return Jobs(source.parent, target.parent, [source.name], lambda name: target.name, partners)
    if not source.is_dir():
        raise ConfigurationError(f"{shown(source)}: neither a file nor a folder")
    output = folder_named(output, "OUTPUT")
    refuse_in_run(output)
    refuse_around(output, (source, *partners.folders))
    names = _images_in(source, log, follow_links)
    partners.refuse_ambiguous(source, names)
    exceptions = renamed(names, format)
    jobs = Jobs(source, output, names, lambda name: exceptions.get(name) or output_name(name, format), partners)
    jobs.refuse_inputs()
    return jobs


def refuse_around(output: Path, folders: Sequence[Path]) -> None:
    """Raises ConfigurationError if the output folder is one of the input folders, or lies inside one."""
    around = (output, *output.absolute().parents, *output.resolve().parents)
    if any(_same(place, folder) for folder in folders for place in around):
        raise ConfigurationError(
            f"{shown(output)}: the output folder is the input folder or lies inside it; choose another"
        )


def _images_in(folder: Path, log: Log, follow_links: bool) -> list[str]:
    """The images below the folder, relative to it. Raises ConfigurationError if there is none."""
    report = ListingReport()
    # Only names, as strings: a million of them stay in memory to the end.
    names = [path.relative_to(folder).as_posix() for path in iterate_images(folder, report, follow_links)]
    for line in report.notes(folder, "--no-links"):
        log(f"note: {line}")
    for line in report.warnings(folder):
        log(f"warning: {line}")
    others = report.others
    left = f"{others.total():,} files of other kinds" if others.total() > 1 else "1 file of another kind"
    if not names:
        there = f"; what is there: {left}, {_most(others)}" if others else ""
        looked = "looked for PNG, JPEG, WebP, TIFF, BMP and GIF, in all sub-folders"
        videos = "; a video is converted by its own name, not its folder's" if VIDEOS & others.keys() else ""
        raise ConfigurationError(f"{shown(folder)}: no images found ({looked}{there}){videos}")
    if others:
        log(f"note: {left} left alone: {_most(others)}")
    return names


def refuse_same(source: Path, target: Path) -> None:
    """Raises ConfigurationError unless `target` may be written from `source`, if it is there already by --overwrite."""
    if _same(source, target):
        raise ConfigurationError(f"{shown(target)}: the output is the input; give another file or folder")
    admit(target, overwrite=True)


def refuse_other_kinds(output: str | Path, writable: Iterable[str]) -> None:
    """Raises ConfigurationError if `output` is named as a file of a kind that is not written here.

    It would otherwise become a folder of that name.
    """
    if named_as_file(output):
        path = Path(output)
        raise ConfigurationError(
            f"{shown(path)}: '{path.suffix}' is not written here; name a file that ends in {', '.join(writable)}, "
            f"or a folder; for a folder of that name, write {shown(path)}/"
        )


def _single(source: Path, name: str | Path, format: ImageFormat) -> Path:
    """The output file of a single source: `name` if it has a writable image's suffix, else a file in that folder."""
    output = Path(name)
    if said_folder(name) or output.suffix.lower() not in WRITABLE:
        refuse_other_kinds(name, sorted(WRITABLE))
        return output / output_name(source.name, format)
    if output_name(output.name, format) != output.name:
        raise ConfigurationError(
            f"--format {format}: {shown(output)} is named as another format; leave one of them out"
        )
    return output


def _most(others: Counter[str]) -> str:
    """The most frequent file kinds and their counts, as text."""
    most = sorted(others.items(), key=lambda kind: (-kind[1], kind[0]))
    return folded([f"{shown(kind) or 'no suffix'} {count:,}" for kind, count in most])


def _leads_out(piece: Path, folder: Path) -> bool:
    """Whether a piece, or something directly in it, is a link to a place that is not in the folder."""
    inside = [piece, *(piece.iterdir() if piece.is_dir() else ())]
    return any(path.is_symlink() and not path.resolve().is_relative_to(folder) for path in inside)


def _hash(name: str) -> int:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def _holds_any(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _same(a: Path, b: Path) -> bool:
    """Whether both are one file or folder, whatever links, mounts and spellings lead there."""
    try:
        return os.path.samefile(a, b)
    except OSError:  # one is not there
        return a.resolve() == b.resolve()
