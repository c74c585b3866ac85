"""ONNX: a graph in one file, for ONNX Runtime, OpenVINO and others; `translate convert` reads it, too."""

import contextlib
import os
from pathlib import Path

import torch
from torch.export import ExportedProgram

from translate.inference.converter import Converter
from translate.inference.formats.exported import Description, Run, needed, open_with_onnxruntime, read_exported
from translate.inference.formats.graphs import export_graph, require_place
from translate.inference.formats.source import Destination, Exported, Source
from translate.inference.options import ModelOptions


def require(destination: Destination) -> None:
    """Raises ConfigurationError for a file that cannot be written, or a missing package of the export extra."""
    require_place(destination)
    for package in ("onnx", "onnxscript", "onnxruntime"):
        needed(package, "export")


def export(source: Source, destination: Destination) -> Exported:
    """Writes one file for one target. Raises TranslateError, and leaves no file, if it differs from PyTorch."""
    return export_graph(source, destination, write, read)


def load(path: Path, options: ModelOptions) -> Converter:
    """Opens the file with `options.backend`, on the CPU. Raises ConfigurationError for one that is not ours."""
    generator, images, runtime = read_exported(path, options.backend, options.device, options.precision)
    converter = Converter(generator, images, runtime, path)
    converter.derived = generator.description.derived
    return converter


def write(program: ExportedProgram, path: Path, description: Description) -> None:
    """Writes one file, weights included."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        graph = torch.onnx.export(
            program, (), dynamo=True, verbose=False, input_names=["images"], output_names=["translations"]
        )
    assert graph is not None
    for node in graph.model.graph:
        node.metadata_props.clear()  # contains module names and file paths of this machine
    graph.model.metadata_props.update(description.to_metadata())
    graph.save(path, external_data=False)


def read(path: Path) -> Run:
    """Opens a written file with ONNX Runtime: (images, channels, height, width), float32 or uint8, in and out."""
    return open_with_onnxruntime(path)[0]
