"""`translate downstream`: trains a classifier or a segmenter without and with augmented pictures, and compares them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from translate.data.annotated import AnnotatedSet, open_annotated
from translate.data.annotated.masks import MaskSet
from translate.data.batch import Batch, Labelled, Paired
from translate.data.cache.memory import Memory
from translate.data.catalog.cards import locate
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.labelled import LabelledFolder, LabelledSplit, open_labelled
from translate.data.labelled.opening import find_labels
from translate.data.loader import Loader, evaluation_batches
from translate.data.source import Readable
from translate.data.source_file import Source
from translate.errors import ConfigurationError, command
from translate.evaluation.classifier import ClassifierSettings
from translate.evaluation.classifier_training import train_classifier
from translate.evaluation.downstream import Compared, compare, share_right
from translate.evaluation.label_measures import confusions, mean_iou_of
from translate.evaluation.segmenter import SegmenterSettings, train_segmenter
from translate.models.base import ImageSpec
from translate.runs.augmenting.augment import MANIFEST, made_in
from translate.runs.augmenting.masked import masked_images
from translate.training.runtime import Runtime, choose_runtime
from translate.utils.printing import Log, shown
from translate.utils.ram import available_ram
from translate.utils.stored import UnreadableError, lines_of

_CACHE_BYTES = 2_000_000_000
_BATCH = 32


@dataclass(frozen=True)
class Training:
    """How both networks are trained: `steps` of each, with each of the `seeds`."""

    seeds: tuple[int, ...]
    steps: int
    size: int
    flip: bool
    ignore: int | None
    device: str = "auto"
    quiet: bool = False

    def require(self) -> Runtime:
        """The runtime. Raises ConfigurationError for a single seed, or a size that a U-Net cannot halve."""
        if len(self.seeds) < 2:
            raise ConfigurationError("--seeds: give two or more, such as 0..4; one training says nothing of chance")
        return choose_runtime(self.device)


def downstream(data: str, augmented: Path, training: Training, log: Log) -> Compared:
    """Compares training on `data` with training on it and on the translations in `augmented`, which
    `translate augment` made of it; measured on the real test pictures of `data`.

    Raises ConfigurationError if one is not such a set, or there is nothing to measure on.
    """
    runtime, root = training.require(), locate(data)[0]
    made = _made_of(augmented)
    labelled = open_annotated(root)
    if not labelled.measured:
        raise ConfigurationError(
            f"{shown(root)}: {labelled.called}: no detector is trained here; train yours on {shown(root)}, and on it "
            f"and {shown(augmented)}, for as many steps and with several seeds"
        )
    if isinstance(labelled, MaskSet):
        return _segmented(labelled, augmented, made, training, runtime, log)
    return _classified(root, augmented, made, training, runtime, log)


def _made_of(augmented: Path) -> dict[str, str]:
    """Which file was made of which picture. Raises ConfigurationError."""
    path = augmented / MANIFEST
    try:
        rows = [json.loads(line) for _, line in lines_of(path)]
    except (UnreadableError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{shown(path)}: cannot be read ({error}); give what {command('augment', 'RUN', 'DATA', 'OUTPUT')} wrote"
        ) from error
    return made_in([row for row in rows if isinstance(row, dict)])


def _classified(
    root: Path, augmented: Path, made: Mapping[str, str], training: Training, runtime: Runtime, log: Log
) -> Compared:
    folder = open_labelled(root)
    train, test = folder.splits["train"], folder.splits.get("test")
    if test is None:
        raise ConfigurationError(f"{shown(root)}: no test pictures to measure on; put some into test/")
    more = _translations_of(train, root, augmented, made, folder, log)
    both = LabelledSplit.of((*train.sources, *more.sources), np.concatenate([train.labels, more.labels]))
    log(_in_words(len(train), len(more), len(test), training))
    spec = ImageSpec(3, training.size, folder.domains, folder.groups)
    decoding = Decoding(3, training.size, "square")
    settings = ClassifierSettings(size=training.size, steps=training.steps)

    def count(with_augmented: bool, seed: int) -> Tensor:
        part, own = both if with_augmented else train, settings.model_copy(update={"seed": seed})
        measured = partial(evaluation_batches, [test.sources], Labelled, decoding, _BATCH, [test.labels])
        stream = _stream([part.sources], Labelled, decoding, training, own.batch_size, seed, [part.labels])
        first = islice(measured(), 1)  # what it reads of all is counted below
        trained = train_classifier(stream, first, spec, own, runtime, quiet=training.quiet)
        return torch.cat([_right(trained.classifier, batch) for batch in map(runtime.place, measured())])

    return Compared("downstream/labels", share_right, *compare(count, training.seeds), factor=100)


@torch.no_grad()
def _right(classifier: Any, batch: Labelled) -> Tensor:
    """How many labels of each picture are read right, and of how many: (images, 2). A class is one label."""
    read = classifier.predict(batch.images)
    asked = batch.labels >= 0
    if not classifier.labels.attributes:
        right, known = ((read == batch.labels) | ~asked).all(1), asked.any(1)
        return torch.stack([right & known, known], 1).cpu()
    return torch.stack([((read == batch.labels) & asked).sum(1), asked.sum(1)], 1).cpu()


def _translations_of(
    train: LabelledSplit, root: Path, augmented: Path, made: Mapping[str, str], folder: LabelledFolder, log: Log
) -> LabelledSplit:
    """The translations of the training pictures, with the labels that the augmented set gives them."""
    found = find_labels(augmented)
    if found is None:
        raise ConfigurationError(f"{shown(augmented)}: no labelled pictures here; make the set again")
    if strange := [name for name in found.domains if name not in folder.domains]:
        raise ConfigurationError(f"{shown(augmented)}: labels that {shown(root)} lacks: {', '.join(strange)}")
    columns = [folder.domains.index(name) for name in found.domains]
    wanted = _from_training(made, [source.path.relative_to(root).as_posix() for source in train.sources], root, log)
    sources, labels = list[Readable](), list[np.ndarray]()
    for part in found.parts.values():
        for source, row in zip(part.sources, part.labels, strict=True):
            if source.path.relative_to(augmented).as_posix() in wanted:
                whole = np.zeros(len(folder.domains), np.float32)
                whole[columns] = row
                sources.append(Source(source.path))
                labels.append(whole)
    if not sources:
        raise ConfigurationError(f"{shown(augmented)}: none of its translations is there any more; make them again")
    return LabelledSplit.of(sources, np.stack(labels))


def _from_training(made: Mapping[str, str], training: Sequence[str], root: Path, log: Log) -> set[str]:
    """The files that were made of training pictures. Raises ConfigurationError if there are none."""
    known = set(training)
    wanted = {file for file, picture in made.items() if picture in known}
    if not wanted:
        raise ConfigurationError(f"{shown(root)}: the translations were made of other pictures than its training ones")
    if others := len(made) - len(wanted):
        log(f"{others} translations of pictures that are measured, or are not there, are left out")
    return wanted


def _segmented(
    labelled: AnnotatedSet, augmented: Path, made: Mapping[str, str], training: Training, runtime: Runtime, log: Log
) -> Compared:
    train = [one for one in labelled.originals if one.training]
    test = [one for one in labelled.originals if not one.training]
    if not test:
        raise ConfigurationError(f"{shown(labelled.root)}: no test pictures to measure on; put some into test/")
    wanted = _from_training(made, [one.name for one in train], labelled.root, log)
    more = [one for one in open_annotated(augmented).originals if one.name in wanted]
    log(_in_words(len(train), len(more), len(test), training))
    numbers = masked_images(train, training.ignore)
    spec = numbers.spec(training.size)
    ways = numbers.ways(training.size)
    settings = SegmenterSettings(steps=training.steps)

    def count(with_augmented: bool, seed: int) -> Tensor:
        some = [*train, *more] if with_augmented else train
        own = settings.model_copy(update={"seed": seed})
        stream = _stream(numbers.pairs(some), Paired, ways, training, own.batch_size, seed)
        network = train_segmenter(stream, spec, own, runtime, quiet=training.quiet)
        batches = evaluation_batches(numbers.pairs(test), Paired, ways, _BATCH)
        with torch.no_grad():
            return torch.cat([confusions(network(one.input), one.target).cpu() for one in map(runtime.place, batches)])

    return Compared("downstream/mean_iou", mean_iou_of, *compare(count, training.seeds))


def _stream(
    split: Sequence[Sequence[Readable]],
    make: type[Batch],
    decoding: Decoding | Sequence[Decoding],
    training: Training,
    batch_size: int,
    seed: int,
    labels: Sequence[np.ndarray] = (),
) -> Iterator[Any]:
    loader = Loader(
        split,
        make,
        decoding,
        Cropping(training.size, training.flip),
        labels=labels,
        batch_size=batch_size,
        seed=seed,
        cache=Memory(min(_CACHE_BYTES, available_ram() // 2)),
    )
    return loader.stream()


def _in_words(train: int, more: int, test: int, training: Training) -> str:
    return (
        f"{len(training.seeds)} trainings of {training.steps} steps on {train} real pictures, and as many on these and "
        f"{more} translations of them; measured on {test} real pictures"
    )
