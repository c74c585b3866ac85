"""Exports as one graph, for any batch, height and width: traced, written, read back and compared with PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export
from torch.fx.experimental import _config as shapes

from translate.data.io.images import to_float, to_pixels
from translate.errors import TranslateError
from translate.inference.converter import Converter
from translate.inference.formats.exported import Description, Run
from translate.inference.formats.source import Destination, Exported, Source, placed
from translate.inference.padding import pad, padded_size
from translate.inference.provenance import require_writable
from translate.models.base import ImageTranslator, Request
from translate.networks.blocks import InstanceNorm2d
from translate.version import __version__

Write = Callable[[ExportedProgram, Path, Description], None]
Read = Callable[[Path], Run]


def require_place(destination: Destination) -> None:
    """Raises ConfigurationError if the file could not be written."""
    require_writable(destination.path.parent)
    destination.require_free([destination.path])


def export_graph(source: Source, destination: Destination, write: Write, read: Read) -> Exported:
    """Raises TranslateError, and leaves no file, if the graph differs from the model by more than the tolerance."""
    converter, options, path = source.converter, destination.options, destination.path
    model, request, exported = converter.model, source.request, Exported([path])
    model.require_graph(request)
    if model.remarks:
        exported.notes.append(model.remarks)
    if converter.derived and converter.derived.remark:
        exported.notes.append(converter.derived.remark)
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


class TranslationGraph(nn.Module):
    """Translates images (batch, channels, height, width), with height and width multiples of the stride.

    Input and output are floats in [-1, 1], or uint8 if `as_bytes`. Holds a copy of the model without dropout and the
    modules that translation does not use. Instance norms, and batch norms of models that convert in training mode, use
    each image's own statistics for a batch of any length.
    """

    def __init__(self, model: ImageTranslator, request: Request, channels: int, as_bytes: bool = False) -> None:
        super().__init__()
        self.request, self.as_bytes = request, as_bytes
        self.channels, self.stride = channels, model.stride
        self.model: ImageTranslator = copy.deepcopy(model).float().eval()
        for module in list(self.model.modules()):
            _replace_layers(module, batch_norm_too=model.converts_in_training_mode)
        self._prune()

    def forward(self, images: Tensor) -> Tensor:
        return to_pixels(self._translate(to_float(images))) if self.as_bytes else self._translate(images)

    def noise(self, batch: int, rows: int, columns: int, seed: int = 0) -> Tensor:
        """Random uint8 images; `rows` and `columns` are multiples of the smallest size that the network takes."""
        height, width = padded_size(1, 1, self.stride)
        shape = (batch, self.channels, rows * height, columns * width)
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))

    def accepts(self, pixels: Tensor) -> Tensor:
        """uint8 images converted to the input format of this graph."""
        return pixels if self.as_bytes else to_float(pixels)

    def _translate(self, images: Tensor) -> Tensor:
        return self.model.translate_at_once(images, self.request)

    @torch.no_grad()
    def _prune(self) -> None:
        """Drops modules that translation does not call: discriminators and the other generators."""
        called: set[nn.Module] = set()
        hooks = [module.register_forward_hook(lambda module, *_: called.add(module)) for module in self.modules()]
        self(self.accepts(self.noise(1, 2, 2)))
        for hook in hooks:
            hook.remove()
        _drop_all_but(called, self.model)


def trace(graph: TranslationGraph) -> ExportedProgram:
    """The exported graph of `graph`. Raises TranslateError if torch.export fails."""
    stride = graph.stride
    rows, columns = (Dim(name, min=1, max=1 << 16) for name in ("rows", "columns"))
    sides = (rows, columns) if stride == 1 else (stride * rows, stride * columns)
    dynamic = {0: Dim("batch", min=1, max=1 << 16), 2: sides[0], 3: sides[1]}
    example = graph.accepts(graph.noise(2, 2, 3))
    try:
        # Otherwise torch assumes that sizes above 1 in the example always are, and the graph of a U-Net refuses images
        # as large as its stride, which shrink to one pixel inside.
        with shapes.patch(backed_size_oblivious=True), torch.no_grad():  # type: ignore[attr-defined]
            program = export(graph, (example,), dynamic_shapes=(dynamic,))
    except Exception as error:  # torch raises many exception types
        raise TranslateError(f"torch.export cannot export this model: {str(error).strip().splitlines()[0]}") from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # contains file paths of this machine
    return program


class _ImageNorm(nn.Module):
    """Normalises each image of a batch of any length by its own statistics; a single operator in every format."""

    def __init__(self, weight: nn.Parameter | None, bias: nn.Parameter | None, eps: float) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = weight, bias, eps

    def forward(self, features: Tensor) -> Tensor:
        # F.instance_norm refuses maps of one pixel.
        return torch.instance_norm(features, self.weight, self.bias, None, None, True, 0.0, self.eps, False)


def _replace_layers(module: nn.Module, batch_norm_too: bool) -> None:
    for name, layer in module.named_children():
        if isinstance(layer, InstanceNorm2d) or (batch_norm_too and isinstance(layer, nn.BatchNorm2d)):
            setattr(module, name, _ImageNorm(layer.weight, layer.bias, layer.eps))
        elif isinstance(layer, nn.Dropout):
            setattr(module, name, nn.Identity())


def _drop_all_but(called: set[nn.Module], module: nn.Module) -> None:
    for name, child in module.named_children():
        if called.isdisjoint(child.modules()):
            setattr(module, name, nn.Identity())
        else:
            _drop_all_but(called, child)


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
        scale=converter.model.scale,
        derived=converter.derived,
    )


def _silence_dropout(model: ImageTranslator) -> bool:
    """Turns off dropout, whose randomness no graph can reproduce. Returns whether conversion would have used it."""
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout) and module.p]
    for dropout in dropouts:
        dropout.p = 0.0
    return bool(dropouts) and model.converts_in_training_mode
