"""From settings to the parts of a run: data, trainer, and the true pairs it is measured by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from translate.data.batch import Batch, Paired
from translate.data.catalog import locate, user_data
from translate.data.folders import Folder, Split, open_folder
from translate.data.loader import Loader, evaluation_batches
from translate.data.shapes import render_set
from translate.engine import Engine
from translate.errors import ConfigurationError, nearest
from translate.model import Translator
from translate.optim import WeightAverage, build_optimizer, learning_rate
from translate.recipe import DataSettings, TrainingSettings
from translate.trainer import Trainer
from translate.validation import Direction, directions

Say = Callable[[str], None]


@dataclass(frozen=True)
class Images:
    """A data set, found on disk, as its settings want it read."""

    settings: DataSettings
    folder: Folder
    batch_type: type[Batch]

    @property
    def domains(self) -> tuple[str, ...]:
        return self.folder.domains

    def loader(self, batch_size: int, seed: int) -> Loader:
        """Training batches."""
        data = self.settings
        return Loader(
            self.folder.splits["train"],
            make=self.batch_type,
            channels=data.channels,
            size=data.size,
            load_size=data.loaded_size,
            resize=data.resize,
            flip=data.flip,
            augment=data.augment,
            batch_size=batch_size,
            seed=seed,
            workers=data.workers,
            cache_bytes=int(data.cache_gb * 1e9),
        )

    def first(self, count: int, split: Literal["test", "train"] = "test") -> Iterator[Batch]:
        """The first `count` images of each domain, whole, in one batch; of the training set where there is no test."""
        chosen = self.folder.splits.get(split) or self.folder.splits["train"]
        few: Split = tuple(sources[:count] for sources in chosen)
        return evaluation_batches(few, self.batch_type, self.settings.channels, self.settings.size, count)


def open_data(data: DataSettings, batch_type: type[Batch], tell: Say) -> Images:
    """Finds the data set and reads its layout, telling what was found; `shapes` is rendered on first use.

    Raises ConfigurationError where there is none, or where it is paired and the model wants unpaired images, or
    the reverse.
    """
    if data.set is None:
        raise ConfigurationError("--data is needed: the name of a data set (see `translate data`), or a folder")
    wanted: Literal["paired", "unpaired"] = "paired" if batch_type is Paired else "unpaired"
    root, card = (_rendered(data, wanted, tell), None) if data.set == "shapes" else locate(data.set)
    folder = open_folder(
        root,
        wanted=wanted,
        direction=data.direction or (card.direction if card else None),
        domains=data.domains or (card.domains if card else None),
        layout=data.layout,
    )
    for line in folder.found:
        tell(line)
    for line in folder.warnings:
        tell(f"warning: {line}")
    return Images(data, folder, batch_type)


def _rendered(data: DataSettings, view: Literal["paired", "unpaired"], tell: Say) -> Path:
    options = data.shapes
    name = f"shapes-{view}-{'-'.join(options.styles)}-{data.size}px-{options.train}-{options.test}-{options.seed}"
    tell(f"rendering {name}, unless it is there already")
    return render_set(
        user_data() / name,
        view=view,
        styles=options.styles,
        size=data.size,
        train=options.train,
        test=options.test,
        seed=options.seed,
    )


def build_trainer(model: Translator, training: TrainingSettings, engine: Engine, total: int) -> Trainer:
    """One optimizer per network that a turn moves; an average of those that paint, where it is wanted."""
    engine.adopt(model)
    model.train()
    networks = _networks(model, painting=False)
    for name in training.network_lr:
        if name not in networks:
            raise ConfigurationError(f"training.network_lr: no network '{name}'{nearest(name, networks)}")
    optimizers = {
        name: build_optimizer(
            network,
            training.optimizer,
            training.network_lr.get(name, training.lr),
            training.betas,
            training.weight_decay,
        )
        for name, network in networks.items()
    }
    return Trainer(
        model,
        optimizers,
        engine,
        curve=learning_rate(training.schedule, total, training.decay_from),
        seed=training.seed,
        accumulate=training.accumulate,
        average=WeightAverage(_networks(model, painting=True), training.ema) if training.ema else None,
    )


def _networks(model: Translator, painting: bool) -> dict[str, nn.Module]:
    """Networks by name that a turn moves; `painting`: a turn that paints."""
    moved = {id(network) for turn in model.turns() if turn.paints or not painting for network in turn.networks}
    return {name: network for name, network in model.named_children() if id(network) in moved}


def true_pairs(model: Translator, images: Images, count: int, engine: Engine) -> list[Direction]:
    """The directions that `count` test images know the truth of; none where the set does not pair them."""
    if not images.folder.test_is_paired or not images.folder.splits.get("test"):
        return []
    training = images.first(count, "train") if images.folder.kind == "paired" else iter(())
    return directions(model, images.domains, images.first(count), training, engine)
