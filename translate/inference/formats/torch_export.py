"""torch.export: a graph in one file, for `torch.export.load`."""

import io
import json
from pathlib import Path
from typing import NoReturn

import torch
from torch.export import ExportedProgram

from translate.errors import ConfigurationError
from translate.inference.formats.exported import Description, Run
from translate.inference.formats.graphs import export_graph, require_place
from translate.inference.formats.source import Destination, Exported, Source
from translate.inference.options import ModelOptions

require = require_place


def export(source: Source, destination: Destination) -> Exported:
    """Writes one file for one target. Raises TranslateError, and leaves no file, if it differs from PyTorch."""
    return export_graph(source, destination, write, read)


def load(path: Path, options: ModelOptions) -> NoReturn:
    """Raises ConfigurationError: these files are for other programs."""
    raise ConfigurationError(
        f"{path}: a graph of torch.export is for other programs and is not read here; "
        "convert with the run itself, or export it as .onnx or for a hub"
    )


def write(program: ExportedProgram, path: Path, description: Description) -> None:
    """Writes a .pt2 file, with the description in it as translate.json."""
    content = io.BytesIO()  # where a disk is full, torch's own writer ends the process
    torch.export.save(program, content, extra_files={"translate.json": json.dumps(description.to_metadata())})
    path.write_bytes(content.getbuffer())


def read(path: Path) -> Run:
    """Opens a written file with PyTorch: (images, channels, height, width), float32 or uint8, in and out."""
    module = torch.export.load(path).module()
    return lambda images: module(torch.from_numpy(images)).numpy()
