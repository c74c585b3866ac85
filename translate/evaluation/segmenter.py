"""The segmenter to measure with: a small U-Net that finds the class of each pixel, trained from scratch and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from translate.data.batch import Paired
from translate.data.label_maps import NOTHING, classes_of
from translate.errors import TranslateError
from translate.models.base import Fakes, ImageSpec, Losses, Model, Turn
from translate.networks.unet import UNetSettings
from translate.training.optim import build_optimizer
from translate.training.runtime import Runtime
from translate.training.schedules import ScheduleSettings
from translate.training.trainer import Trainer
from translate.utils.atomic_files import atomic_file, clear_leftovers
from translate.utils.progress import Progress
from translate.utils.settings import Settings
from translate.utils.tensor_file import read_tensors

SHARPNESS = 10.0
"""The network's planes, which end in a tanh, times this are logits."""


class SegmenterSettings(Settings):
    """By default as long as the classifier: 500 steps."""

    filters: int = Field(32, ge=1)
    """Width of the first layer, in channels; deeper ones have multiples of it."""
    steps: int = Field(500, ge=1)
    batch_size: int = Field(8, ge=2)
    lr: float = Field(2e-3, gt=0)
    seed: int = 0


class Segmenter(Model):
    """A U-Net from pictures to a plane for each class, trained by cross-entropy where somebody labelled."""

    Config = SegmenterSettings
    batch_type = Paired
    takes_labels = True

    def __init__(self, config: SegmenterSettings, images: ImageSpec) -> None:
        super().__init__(config, images)
        channels, classes = images.domain(0).channels, images.domain(1).channels
        network = UNetSettings(filters=config.filters, dropout=0.0)
        self.network: nn.Module = network.build_between(channels, classes, images.size)

    def generate(self, batch: Paired) -> Fakes:
        return {}

    def turns(self) -> list[Turn]:
        return [Turn("segmenter", [self.network], self._losses)]

    def show(self, batch: Paired) -> dict[str, Tensor]:
        return {"input": batch.input}

    def forward(self, images: Tensor) -> Tensor:
        """Planes (batch, classes, height, width) in [-1, 1] of images (batch, channels, height, width)."""
        planes: Tensor = self.network(images)
        return planes

    def _losses(self, batch: Paired, fakes: Fakes) -> Losses:
        logits = SHARPNESS * self(batch.input).float()
        wanted = classes_of(batch.target)
        known = (wanted != NOTHING).sum().clamp(min=1)
        return {"classes": F.cross_entropy(logits, wanted, ignore_index=NOTHING, reduction="sum") / known}


def train_segmenter(
    batches: Iterator[Paired], images: ImageSpec, settings: SegmenterSettings, runtime: Runtime, quiet: bool = False
) -> Segmenter:
    """Trains for `settings.steps` steps by Adam, with a rate that falls along half a cosine; the last weights are kept,
    without selection. The same seed and batches give the same weights on one machine; the caller's random state stays
    unchanged."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = Segmenter(settings, images)
        runtime.adopt(model)
        model.train()
        optimizer = build_optimizer(model.network, "adam", settings.lr, (0.9, 0.999), 0.0)
        curve = ScheduleSettings(schedule="cosine", decay_from=0).curve(settings.steps)
        trainer = Trainer(model, {"network": optimizer}, runtime, curve=curve, seed=settings.seed)
        with Progress(settings.steps, unit="step", label="segmenter", quiet=quiet) as bar:
            for _ in range(settings.steps):
                trainer.step(runtime.place(next(batches)))
                bar.advance(images=settings.batch_size)
    return model.eval().requires_grad_(False)


def kept_segmenter(
    file: Path, images: ImageSpec, settings: SegmenterSettings, runtime: Runtime, train: Callable[[], Segmenter]
) -> Segmenter:
    """The segmenter in `file`, whose name says all that it was trained on and how, or else a new one, which is then
    saved there; on the runtime's device. Raises TranslateError if the file is damaged or cannot be written."""
    if not file.is_file():
        model = train()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            clear_leftovers(file.parent)
            with atomic_file(file) as working:
                save_file({key: value.cpu().contiguous() for key, value in model.state_dict().items()}, working)
        except (OSError, SafetensorError) as error:
            raise TranslateError(f"{file}: the segmenter could not be saved ({error})") from error
        return model
    model = Segmenter(settings, images)
    try:
        model.load_state_dict(read_tensors(file))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise TranslateError(
            f"{file}: incomplete or damaged segmenter ({error}); delete the file to have it trained again"
        ) from error
    runtime.adopt(model)
    return model.eval().requires_grad_(False)
