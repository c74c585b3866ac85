"""`translate export`: writes a trained translator as a file for other programs, checked against PyTorch before it
appears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from translate.data.io.images import to_float, to_pixels
from translate.data.io.values import UNIT
from translate.errors import ConfigurationError, TranslateError, folded
from translate.inference.converter import Converter
from translate.inference.formats import hub, port
from translate.inference.formats.check import largest_difference, random_images
from translate.inference.formats.exported import Description, ExportedGenerator
from translate.inference.formats.graph import TranslationGraph, trace
from translate.inference.formats.graph_files import read_onnx, read_torch, require_onnx, write_onnx, write_torch
from translate.inference.formats.placing import placed, require_free
from translate.inference.padding import pad
from translate.inference.port_options import Dropout
from translate.inference.provenance import require_writable
from translate.models.base import ImageTranslator, Request, Translator
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import Loaded, files_of, load, load_model
from translate.training.runtime import Runtime
from translate.utils.folder_name import folder_named
from translate.version import __version__

Format = Literal["onnx", "torch-export", "hub", "port"]
SUFFIXES: dict[str, Format] = {".onnx": "onnx", ".pt2": "torch-export", ".pth": "port", ".ckpt": "port", "": "hub"}
PORT_FILES = (".pth", ".pt", ".ckpt")
REAL_IMAGES = 4
"""Number of images of the run's data set on which an exported graph is checked."""


@dataclass
class Exported:
    """The files written, and how much they differ from PyTorch."""

    paths: list[Path]
    differences: dict[str, float] = field(default_factory=dict)
    """Largest difference for each kind of test image, on the scale of [-1, 1]; empty if the weights themselves were
    written."""
    notes: list[str] = field(default_factory=list)
    """What users of the file must know."""


def export(
    run: str | Path,
    out: str | Path,
    *,
    format: Format | None = None,
    to: str | Sequence[str] | None = None,
    as_bytes: bool = False,
    checkpoint: str = "latest",
    tolerance: float = 1e-4,
    evaluated: bool = False,
    dropout: Dropout = "auto",
    overwrite: bool = False,
) -> Exported:
    """Writes the translator in `run` to `out`; by default the suffix of `out` decides the `format` (see `SUFFIXES`).

    onnx and torch-export: the graph of the translation to `to` (required if the model has several targets), on floats
    in [-1, 1] or, with `as_bytes`, on uint8. It is compared with PyTorch on random images and, if available, on the
    run's data set. Here `run` may also be another project's generator file, see `load`. hub: a folder that `load`
    accepts. port: generators for the PyTorch port of pix2pix and CycleGAN, or for the released StarGAN; `out` is a
    folder, or a file for a single generator.

    Raises ConfigurationError before writing anything; TranslateError if the difference exceeds `tolerance`, in which
    case no file is left under that name.
    """
    path, source = Path(out), Path(run)
    chosen = format or _format(path)
    graph = chosen in ("onnx", "torch-export")
    _require_place(path, chosen, out)
    if as_bytes and not graph:
        raise ConfigurationError(f"--bytes is for graphs (onnx, torch-export), not for --format {chosen}")
    if graph:
        require_free([path], overwrite, files_of(source))
    if chosen == "onnx":
        require_onnx()
    if source.is_file():
        if not graph:
            raise ConfigurationError(f"{source}: a generator's file; --format {chosen} needs a run's folder")
        converter = load(source, device="cpu", precision="float32", evaluated=evaluated, dropout=dropout)
        return _export_graph(_Source(converter, source.stem, []), to, path, chosen, as_bytes, tolerance)
    if evaluated or dropout != "auto":
        raise ConfigurationError(
            f"--eval and --dropout are for another project's generator, which {source} is not; leave them out"
        )
    loaded = load_model(source, checkpoint)
    if not isinstance(loaded.model, Translator):
        raise ConfigurationError(f"{source}: a {loaded.recipe.name} draws images from noise; translators are exported")
    converter = Converter(loaded.model, loaded.images, Runtime(torch.device("cpu")))
    if chosen == "hub":
        return _export_hub(loaded, converter, to, path, overwrite)
    if chosen == "port":
        return _export_port(loaded, converter, to, path, overwrite)
    named = _Source(converter, loaded.recipe.name, _real_images(loaded))
    return _export_graph(named, to, path, chosen, as_bytes, tolerance)


@dataclass(frozen=True)
class _Source:
    """The converter to export a graph from, its name, and images to check the graph with."""

    converter: Converter
    name: str
    real: list[Tensor]
    """uint8 images of its training data set."""


def _export_graph(
    source: _Source, to: str | Sequence[str] | None, path: Path, format: Format, as_bytes: bool, tolerance: float
) -> Exported:
    converter = source.converter
    model, request = converter.model, converter.request(to)
    if isinstance(model, ExportedGenerator):
        raise ConfigurationError("this is an exported file already; export from the run")
    exported = Exported([path])
    if model.remarks:
        exported.notes.append(model.remarks)
    if _silence_dropout(model):
        exported.notes.append("conversion with this run keeps dropout on; in the exported file it is off")
    painting = TranslationGraph(model, request, converter.images.channels, as_bytes)
    program = trace(painting)
    write, read = (write_onnx, read_onnx) if format == "onnx" else (write_torch, read_torch)
    trials = {"random images": random_images(painting)}
    if source.real:
        trials["images of the run's data set"] = [
            pad(images, *converter.padded_size(*images.shape[2:])) for images in source.real
        ]
    else:
        exported.notes.append("the data set it was trained on was not found: checked on random images only")
    with placed(path) as working:
        write(program, working, _description(source, request, as_bytes))
        run = read(working)
        for kind, images in trials.items():
            difference = largest_difference(run, painting, model, images)
            if not difference <= tolerance:  # also true for NaN
                raise TranslateError(
                    f"{path}: differs from PyTorch by {difference:.2g} on {kind}, more than --tolerance {tolerance:g}; "
                    "nothing was written"
                )
            exported.differences[kind] = difference
    return exported


def _description(source: _Source, request: Request, as_bytes: bool) -> Description:
    images, domains = source.converter.images, source.converter.images.domains
    return Description(
        name=source.name,
        domains=domains,
        target=" ".join(request.names(domains)),
        channels=images.channels,
        stride=source.converter.model.stride,
        values="bytes" if as_bytes else "floats",
        version=__version__,
        span=images.span,
    )


def _silence_dropout(model: ImageTranslator) -> bool:
    """Turns off dropout, whose randomness no graph can reproduce. Returns whether conversion would have used it."""
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout) and module.p]
    for dropout in dropouts:
        dropout.p = 0.0
    return bool(dropouts) and model.converts_in_training_mode


def _real_images(loaded: Loaded) -> list[Tensor]:
    """A few uint8 images of each domain; empty if the run's data set is not available."""
    try:
        images = open_data(loaded.recipe.data, loaded.recipe.method.batch_type, lambda line: None)
    except ConfigurationError:
        return []
    tensors = next(images.first(REAL_IMAGES)).tensors()
    return [to_pixels(to_float(tensor)) for tensor in tensors if not tensor.is_floating_point()]


def _export_hub(
    loaded: Loaded, converter: Converter, to: str | Sequence[str] | None, folder: Path, overwrite: bool
) -> Exported:
    wanted = converter.request(to) if to else None
    paths = [folder / name for name in hub.FILES]
    require_free(paths, overwrite, files_of(loaded.checkpoint.folder))
    hub.write_hub(folder, loaded.checkpoint.weights(), loaded.checkpoint.facts, converter.targets)
    notes = [f"{folder / 'README.md'} leaves the licence to you"]
    if wanted and len(converter.targets) > 1:
        notes.append(f"{folder} holds the whole model, for all of its targets: {folded(converter.targets)}")
    return Exported(paths, notes=notes)


def _export_port(
    loaded: Loaded, converter: Converter, to: str | Sequence[str] | None, out: Path, overwrite: bool
) -> Exported:
    """Writes all generators into a folder, or into a file the only one or the one that `to` names."""
    assert isinstance(loaded.model, Translator)
    generators = port.generators(loaded.model, loaded.checkpoint.step)
    single = out.suffix in PORT_FILES and not out.is_dir()
    if to is not None or (single and len(generators) > 1):
        wanted = converter.request(to)
        generators = {
            name: generator
            for name, generator in generators.items()
            if generator.target is None or generator.target in wanted.set
        }
    paths = [out] if single else [out / name for name in generators]
    require_free(paths, overwrite, files_of(loaded.checkpoint.folder))
    states = [port.published_state(generator.network) for generator in generators.values()]
    for path, state in zip(paths, states, strict=True):
        port.write_port(path, state)
    size, evaluated = loaded.images.size, not loaded.model.converts_in_training_mode
    notes = [
        f"for their scripts, {name}: {port.script(name, generator.network, size, evaluated)}"
        for name, generator in generators.items()
    ]
    if loaded.images.groups:
        notes.append(f"the order of its labels is {', '.join(loaded.images.domains)}; the file does not name them")
    if converter.images.span != UNIT:
        low, high = converter.images.span
        notes.append(
            f"data.range [{low:g}, {high:g}] is not in these files: {low:g} is -1 to the generator, {high:g} is 1"
        )
    return Exported(paths, notes=notes)


def _require_place(path: Path, format: Format, name: str | Path) -> None:
    """Raises ConfigurationError if the output cannot be written there, or a folder is named as a file."""
    if format == "hub" or (format == "port" and path.suffix not in PORT_FILES):
        folder_named(name, f"--format {format}")
    require_writable(path if format == "hub" else path.parent)


def _format(path: Path) -> Format:
    if path.is_dir():
        return "hub"
    if path.suffix not in SUFFIXES:
        known = ", ".join(f"{suffix or 'a folder'} ({format})" for suffix, format in SUFFIXES.items())
        raise ConfigurationError(f"{path}: give --format, or use a suffix that implies it: {known}")
    return SUFFIXES[path.suffix]
