"""Exports of graphs, whatever the file: traced, written, read back and compared with PyTorch before they appear."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from translate.data.io.images import to_float
from translate.errors import TranslateError
from translate.inference.converter import Converter
from translate.inference.formats.exported import Description, Run
from translate.inference.formats.graph import TranslationGraph, trace
from translate.inference.formats.source import Destination, Exported, Source, placed
from translate.inference.padding import pad
from translate.inference.provenance import require_writable
from translate.models.base import ImageTranslator, Request
from translate.version import __version__

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Write = Callable[["ExportedProgram", Path, Description], None]
Read = Callable[[Path], Run]


def require_place(destination: Destination) -> None:
    """Raises ConfigurationError if the file could not be written."""
    require_writable(destination.path.parent)
    destination.require_free([destination.path])


def export_graph(source: Source, destination: Destination, write: Write, read: Read) -> Exported:
    """Raises TranslateError, and leaves no file, if the graph differs from the model by more than the tolerance."""
    converter, options, path = source.converter, destination.options, destination.path
    model, request, exported = converter.model, source.request, Exported([path])
    if model.remarks:
        exported.notes.append(model.remarks)
    if _silence_dropout(model):
        exported.notes.append("conversion with this run keeps dropout on; in the exported file it is off")
    graph = TranslationGraph(model, request, converter.images.to_translate(request).channels, options.as_bytes)
    program, trials = trace(graph), {"random images": random_images(graph)}
    if source.samples:
        trials["images of the run's data set"] = [
            pad(images, *converter.padded_size(*images.shape[2:]))
            for images in source.samples
            if images.shape[1] == graph.channels
        ]
    else:
        exported.notes.append("the data set it was trained on was not found: checked on random images only")
    with placed(path) as working:
        write(program, working, _description(converter, source.name, request, options.as_bytes))
        run = read(working)
        for kind, images in trials.items():
            difference = largest_difference(run, graph, model, images)
            if not difference <= options.tolerance:  # also true for NaN
                raise TranslateError(
                    f"{path}: differs from PyTorch by {difference:.2g} on {kind}, more than --tolerance "
                    f"{options.tolerance:g}; nothing was written"
                )
            exported.differences[kind] = difference
    return exported


def random_images(graph: TranslationGraph) -> list[Tensor]:
    """uint8 noise in three sizes, starting at the smallest that the network takes, and three batch lengths."""
    sizes = enumerate([(1, 1, 1), (2, 1, 2), (3, 2, 1)])
    return [graph.noise(batch, rows, columns, seed) for seed, (batch, rows, columns) in sizes]


@torch.inference_mode()
def largest_difference(run: Run, graph: TranslationGraph, model: ImageTranslator, images: Iterable[Tensor]) -> float:
    """The largest difference between the outputs of `run` and of the model for uint8 images, on the scale of [-1, 1].

    Ignores rounding to bytes. NaN if either output has NaN. Raises TranslateError if the shapes differ.
    """
    largest = torch.zeros(())
    for pixels in images:
        wanted = model.translate(to_float(pixels), graph.request)
        found = torch.from_numpy(run(graph.accepts(pixels).numpy()))
        if found.shape != wanted.shape:
            raise TranslateError(f"the exported file gives {tuple(found.shape)} for {tuple(wanted.shape)}")
        rounding = 1 / 255 if graph.as_bytes else 0.0
        difference = (to_float(found) if graph.as_bytes else found) - wanted
        # torch's maximum propagates NaN, Python's may not.
        largest = torch.maximum(largest, (difference.abs() - rounding).max())
    return largest.item()


def _description(converter: Converter, name: str, request: Request, as_bytes: bool) -> Description:
    images = converter.images
    given = images.to_translate(request)
    return Description(
        name=name,
        domains=images.domains,
        target=" ".join(request.names(images.domains)),
        channels=given.channels,
        stride=converter.model.stride,
        values="bytes" if as_bytes else "floats",
        version=__version__,
        span=given.span,
        each=(given, images.translated(request)),
    )


def _silence_dropout(model: ImageTranslator) -> bool:
    """Turns off dropout, whose randomness no graph can reproduce. Returns whether conversion would have used it."""
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout) and module.p]
    for dropout in dropouts:
        dropout.p = 0.0
    return bool(dropouts) and model.converts_in_training_mode
