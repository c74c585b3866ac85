"""`translate export`: writes a trained translator as a file for other programs, checked before it appears."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from translate.data.io.images import to_pixels
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.formats import chosen_format, reader_of
from translate.inference.formats.source import Destination, Exported, Source
from translate.inference.options import ExportOptions, Target
from translate.models.base import Translator
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import Loaded, as_derived, files_of, load, load_model
from translate.training.runtime import Runtime

SAMPLES = 4
"""Number of images of the run's data set on which an exported graph is checked."""


def export(
    run: str | Path,
    out: str | Path,
    *,
    to: str | Sequence[str] | None = None,
    style: str | None = None,
    steps: int | None = None,
    **options: Any,
) -> Exported:
    """Writes the translator in `run` to `out`, as the keywords say: the fields of `ExportOptions`.

    The suffix of `out` decides the format unless `format` names one of `FORMATS`. onnx and torch-export: the graph of
    the translation to `to` (required if the model has several targets) in one `style` (see `style_of`) and as many
    `steps`, on floats in [-1, 1] or, with `as_bytes`, on uint8. It is compared with PyTorch on random images and, if
    available, on the run's data set. Here `run` may also be another project's generator file, see `load`. hub: a folder
    that `load` accepts. port: generators for the PyTorch port of pix2pix and CycleGAN, or for the released StarGAN;
    `out` is a folder, or a file for a single generator.

    Raises ConfigurationError before writing anything; TranslateError if the difference exceeds `tolerance`, in which
    case no file is left under that name.
    """
    chosen, source = ExportOptions(**options), Path(run)
    name, format = chosen_format(Path(out), chosen.format)
    if chosen.as_bytes and not format.graph:
        raise ConfigurationError(f"--bytes is for graphs, not for --format {name}")
    if style and not format.graph:
        raise ConfigurationError(f"--style is for graphs, which hold one; --format {name} keeps all: leave it out")
    if steps and not format.graph:
        raise ConfigurationError(f"--steps is for graphs, which hold so many; --format {name} keeps all: leave it out")
    destination = Destination(out, name, format.suffixes, chosen, files_of(source))
    format.code.require(destination)
    target = Target((to,) if isinstance(to, str) else tuple(to or ()), style, steps)
    if not source.is_file():
        return format.code.export(_of_run(source, target, chosen, format.graph), destination)
    if not format.graph:
        raise ConfigurationError(f"{source}: a generator's file; --format {name} needs a run's folder")
    return format.code.export(_of_file(source, target, chosen), destination)


def _of_file(file: Path, target: Target, options: ExportOptions) -> Source:
    if reader_of(file).graph:
        raise ConfigurationError(f"{file}: an exported file already; export from the run")
    converter = load(file, device="cpu", precision="float32", evaluated=options.evaluated, dropout=options.dropout)
    return Source(converter, file.stem, target.to, style=target.style, steps=target.steps)


def _of_run(run: Path, target: Target, options: ExportOptions, with_samples: bool) -> Source:
    options.refuse_for(run)
    loaded = load_model(run, options.checkpoint)
    if not isinstance(loaded.model, Translator):
        raise ConfigurationError(f"{run}: a {loaded.recipe.name} generates images from noise; translators are exported")
    converter = Converter(loaded.model, loaded.images, Runtime(torch.device("cpu")))
    converter.derived = as_derived(loaded.recipe)
    samples = _samples(loaded) if with_samples else []
    name, checkpoint = loaded.recipe.name, loaded.checkpoint
    return Source(converter, name, target.to, checkpoint, samples, target.style, target.steps)


def _samples(loaded: Loaded) -> list[Tensor]:
    """A few uint8 images of each domain; empty if the run's data set is not available."""
    try:
        images = open_data(loaded.recipe.data, loaded.recipe.method.batch_type, lambda line: None, loaded.images.kinds)
    except ConfigurationError:
        return []
    return [to_pixels(side) for side in next(images.first(SAMPLES)).floats(lambda side: side).sides()]
