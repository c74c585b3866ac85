"""Opens the data set that settings ask for: named, rendered, or a folder of any layout; or checks it instead."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from translate.data.batch import Batch, Paired
from translate.data.catalog.cards import Card, locate, user_data
from translate.data.checks.clips import examine_clips
from translate.data.checks.folder import Report, check, examine
from translate.data.checks.looking import introduced, layers_of
from translate.data.checks.poor import enlarged
from translate.data.clips.finding import holds_video
from translate.data.clips.opening import ClipFolder, open_clips
from translate.data.domain import Domain
from translate.data.folds import folded
from translate.data.labelled import LabelledFolder, open_jointly, open_labelled, open_source_labelled, unlabelled
from translate.data.layouts.folders import Folder, open_folder
from translate.data.layouts.pairing import Kind
from translate.data.layouts.several import find_sides
from translate.data.messages import NAMED, by_fault
from translate.data.synthetic.moving import render_clips
from translate.data.synthetic.points import POINT_SETS
from translate.data.synthetic.shapes import View, render_set
from translate.data.volumes.folder import is_of_volumes, open_volumes
from translate.errors import ConfigurationError
from translate.recipe import DataSettings
from translate.runs.image_sets import ClipPairs, ImageSet, LabelledImages, LabelledSource, Points, TwoDomains
from translate.runs.image_sets.derived import open_derived, require_pairs
from translate.runs.image_sets.larger_targets import misfits, require_factor, require_smaller_inputs
from translate.runs.image_sets.pairs_among import PairsAmong
from translate.runs.image_sets.sound import require_pairs_of_sound
from translate.utils.printing import Log, shown

USUAL = 4
"""Frames in a sample of clips that are checked without a method."""


def open_data(
    data: DataSettings,
    batch_type: type[Batch],
    log: Log,
    known: Sequence[Domain] = (),
    quiet: bool = True,
    scale: int = 1,
) -> ImageSet:
    """Finds the data set, reads its layout, looks at what the images of each domain are, unless that is `known`, and
    logs what it found; renders `shapes` on first use. Long looks show their progress unless `quiet`. `scale`: how many
    times higher and wider than their inputs translations are, unless that is `known`.

    Raises ConfigurationError if there is none, or if it is not of the kind that the model trains on.
    """
    images = _opened(data, batch_type, log)
    if known:
        images.know(known)
    elif not images.kinds:
        _look(images, quiet, scale)
        for line in introduced(images.kinds_in_files):
            log(line)
    if any(kind.sound for kind in images.kinds):
        require_pairs_of_sound(images)
    return images


def _look(images: ImageSet, quiet: bool, scale: int) -> None:
    """Looks at the files. Raises ConfigurationError unless targets are `scale` times as high and wide as inputs."""
    images.look(quiet, scale)
    if scale != 1:
        require_smaller_inputs(images)
        require_factor(images)


def _opened(data: DataSettings, batch_type: type[Batch], log: Log) -> ImageSet:
    if data.set is None:
        raise ConfigurationError("--data is needed: the name of a data set (see `translate data`), or a folder")
    if data.set != data.set.encode(errors="ignore").decode():  # no recipe could be read again that names it
        raise ConfigurationError(f"{shown(data.set)}: its name is not UTF-8, and recipes are; rename the folder")
    if data.derive is not None:
        images = open_derived(data, batch_type)
        _logged(images.folders[0], log)
        log(images.made)
        return images
    if data.frames is not None and batch_type.pairs:
        return ClipPairs(data, _logged(open_clips(_clips(data, log), data), log), batch_type)
    if batch_type.domains() == 2 and not batch_type.labelled():
        made = PairsAmong if data.pairs else TwoDomains
        return made(data, _logged(_folded(_two_domains(data, batch_type, log), data), log), batch_type)
    if batch_type.domains() == 2:
        a, b = open_source_labelled(data.set, data.follow_links)
        a, b = (_logged(_folded(one, data), log) for one in (a, b))
        return LabelledSource(data, a, b, batch_type)
    if data.set in POINT_SETS:
        if batch_type.kinds() != ("images",):
            raise ConfigurationError(
                f"{data.set}: points in the plane, for models that generate from noise: gan, wgan, ..."
            )
        if data.fold is not None:
            raise ConfigurationError("data.fold: points are drawn afresh for every batch; leave it out")
        return Points(data, POINT_SETS[data.set]())
    return LabelledImages(data, _logged(_folded(_labelled(data, batch_type, log), data), log), batch_type)


def refuse_idle(data: DataSettings, batch_type: type[Batch]) -> None:
    """Raises ConfigurationError that lists settings without effect on this kind of images."""
    two_domains = batch_type.domains() == 2 and not batch_type.labelled()
    acts = {
        "layout": two_domains,
        "pairs": two_domains and not batch_type.pairs,
        "direction": batch_type.pairs,
        "frames": batch_type.pairs,
        "frame_step": batch_type.pairs,
        "axis": two_domains,
        "neighbours": batch_type.pairs,
        "input": batch_type.pairs,
        "target": batch_type.pairs,
        "domains": two_domains or batch_type.labels_are_domains(),
        "order": two_domains,
        "also": batch_type.labels_are_domains(),
        "balanced": batch_type.labels_are_domains(),
    }
    if data.derive is not None:
        require_pairs(data, batch_type)
        acts = {"layout": False, "direction": False, "input": False, "target": False, "also": False, "balanced": False}
    idle = [f"data.{key}" for key in data.model_dump(exclude_defaults=True) if not acts.get(key, True)]
    if idle and data.derive is not None:
        raise ConfigurationError(
            f"{', '.join(idle)}: no effect here, as data.derive makes the inputs; leave it out, or set "
            "data.derive=null for inputs of your own"
        )
    if idle:
        why = f"as this method learns from {batch_type.called}"
        raise ConfigurationError(f"{', '.join(idle)}: no effect here, {why}; leave it out")


def check_alone(data: DataSettings) -> Report:
    """Checks `data.set` without a method, as the settings read folders. Raises ConfigurationError."""
    if data.derive is not None:
        return check_as(data, Paired, data.derive.shrinks)[0]
    path = Path(str(data.set))
    root, card = (path, None) if path.exists() else locate(str(data.set))
    if data.frames or (root.is_dir() and holds_video(root)):
        return examine_clips(open_clips(root, data if data.frames else data.model_copy(update={"frames": USUAL})), data)
    domains = card.domains if card and not (data.domains or data.order or data.roles) else data.domains
    return check(root, data.model_copy(update={"domains": domains}))


def check_as(data: DataSettings, batch_type: type[Batch], scale: int = 1) -> list[Report]:
    """Checks what a method of such batches would train on, whose translations are `scale` times as high and wide as
    their inputs. Raises ConfigurationError where training would."""
    refuse_idle(data, batch_type)
    opened = _opened(data, batch_type, log=lambda line: None)
    if not opened.folders:
        raise ConfigurationError(f"{data.set}: generated as it is needed; there is nothing to check")
    reports = [
        examine_clips(folder, data) if isinstance(folder, ClipFolder) else examine(folder, data)
        for folder in opened.folders
    ]
    _look(opened, quiet=False, scale=scale)
    notes = (*reports[0].notes, *enlarged(layers_of(opened.kinds_in_files), data))
    problems = (*reports[0].problems, *by_fault(misfits(opened), NAMED))
    return [replace(reports[0], notes=notes, problems=problems), *reports[1:]]


def _two_domains(data: DataSettings, batch_type: type[Batch], log: Log) -> Folder:
    if data.pairs == "all":  # opened as such a method's
        return _two_domains(data.model_copy(update={"pairs": None, "layout": "paired"}), Paired, log)
    wanted: Kind = "paired" if batch_type.pairs else "unpaired"
    if data.set == "shapes" and data.domain_names not in (None, data.shapes.styles):
        raise ConfigurationError(
            f"data.domains: the domains of shapes are its styles, {' and '.join(data.shapes.styles)}; "
            "to choose others, set data.shapes.styles=[...]"
        )
    root, card = _found(data, str(data.set), wanted, log)
    of_volumes = is_of_volumes(root)
    if of_volumes and data.pairs:
        raise ConfigurationError("data.pairs=some: for images; volumes are pairs or not: set data.pairs=all")
    if not of_volumes:
        _refuse_slicing(data, root)
    layered = data.domain_settings and not of_volumes and find_sides(root, data.roles, None, data.layout, wanted)
    named = None if layered else data.domain_names
    domains = named or (card.domains if card and not data.roles else None)
    if domains is not None and len(domains) != 2:
        raise ConfigurationError(f"data.domains: this method takes two domains, not {len(domains)}")

    def opened(domains: tuple[str, ...] | None) -> Folder:
        if of_volumes:
            return open_volumes(root, wanted, data, domains)
        return open_folder(
            root,
            wanted=wanted,
            direction=data.direction or (card.direction if card and not data.roles else None),
            domains=domains,
            layout=data.layout,
            follow_links=data.follow_links,
            roles=data.roles,
            some_pairs=data.pairs == "some",
        )

    folder, said = opened(domains), tuple(data.domain_settings)
    images = folder.in_layers().domains
    strange = [name for name in said if name not in images]
    if strange and len(images) > 2:
        raise ConfigurationError(
            f"data.domains.{strange[0]}: there are the images {', '.join(images)}; name one of them"
        )
    if len(said) > max(2, len(images)):
        raise ConfigurationError(f"data.domains: this method takes two domains, not {', '.join(said)}")
    if not strange:
        return folder
    if data.roles or len(said) != 2:
        known = " and ".join(folder.domains)
        raise ConfigurationError(f"data.domains.{strange[0]}: there are the domains {known}; name one, or both anew")
    return opened(said)


def _refuse_slicing(data: DataSettings, root: Path) -> None:
    idle = [f"data.{key}" for key in ("axis", "neighbours") if key in data.model_dump(exclude_defaults=True)]
    if idle:
        raise ConfigurationError(f"{', '.join(idle)}: for volumes, and {shown(root)} holds images; leave it out")


def _labelled(data: DataSettings, batch_type: type[Batch], log: Log) -> LabelledFolder:
    """Opens labelled sets; `data.domains` chooses among the classes or attributes of all of them together."""
    found = [_found(data, name, "labelled", log) for name in (str(data.set), *data.also)]
    roots, card = [root for root, _ in found], found[0][1]
    if not batch_type.labelled():
        return unlabelled(roots[0], data.follow_links)
    if data.domain_settings:
        raise ConfigurationError(
            "data.domains: images of classes are all of one kind; set data.channels and data.range for all"
        )
    if len(roots) > 1:
        return open_jointly(roots, domains=data.domain_names, follow_links=data.follow_links)
    domains = data.domain_names or (card.domains if card else None)
    exclusive = card.alternatives or None if card else None
    return open_labelled(roots[0], domains=domains, exclusive=exclusive, follow_links=data.follow_links)


def _found(data: DataSettings, name: str, view: View, log: Log) -> tuple[Path, Card | None]:
    """Returns the folder of a set, and its card if it has one."""
    return (_rendered(data, view, log), None) if name == "shapes" else locate(name)


def _folded(folder: Any, data: DataSettings) -> Any:
    return folded(folder, data.fold, data.fold_seed)


def _logged(folder: Any, log: Log) -> Any:
    for line in folder.found:
        log(line)
    for line in folder.notes:
        log(f"note: {line}")
    for line in folder.warnings:
        log(f"warning: {line}")
    return folder


def _clips(data: DataSettings, log: Log) -> Path:
    """The folder of clips; of `shapes`, rendered on first use."""
    if data.set != "shapes":
        return locate(str(data.set))[0]
    _require_square(data)
    options, size = data.shapes, data.crop.height
    name = f"shapes-clips-{options.styles[0]}-{size}px-{options.train}-{options.test}-{options.length}-{options.seed}"
    log(f"rendering {name}, unless it is there already")
    return render_clips(
        user_data() / name,
        style=options.styles[0],
        size=size,
        length=options.length,
        train=options.train,
        test=options.test,
        seed=options.seed,
    )


def _require_square(data: DataSettings) -> None:
    if not data.crop.square:
        raise ConfigurationError(
            f"shapes: scenes are square, and data.size is {data.crop}: set data.size to one number"
        )


def _rendered(data: DataSettings, view: View, log: Log) -> Path:
    options, size = data.shapes, data.crop.height
    _require_square(data)
    if data.pairs == "some" and not options.pairs:
        raise ConfigurationError(
            "data.pairs=some: the scenes of shapes differ: set data.shapes.pairs=16, or another number"
        )
    if options.pairs and data.pairs != "some":
        raise ConfigurationError("data.shapes.pairs: no effect without data.pairs=some; leave it out, or set that, too")
    name = f"shapes-{view}-{'-'.join(options.styles)}-{size}px-{options.train}-{options.test}-{options.seed}"
    name += f"-{options.pairs}-pairs" if options.pairs else ""
    folder = user_data() / (name + (f"-{options.palettes}-palettes" if options.palettes else ""))
    log(f"shapes: {'images drawn earlier' if folder.exists() else 'drawing its images, once'}, in {shown(folder)}")
    return render_set(folder, view=view, size=size, **options.model_dump(exclude={"length"}))
