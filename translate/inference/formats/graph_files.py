"""Writes graphs to files and reads them back: ONNX and torch.export."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from translate.inference.formats.exported import Description, Run, needed, open_with_onnxruntime

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def require_onnx() -> None:
    """Raises ConfigurationError if a package that writes or checks ONNX files is missing."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        needed(package, "export")


def write_onnx(program: ExportedProgram, path: Path, description: Description) -> None:
    """Writes one ONNX file, weights included; `require_onnx` holds."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        graph = torch.onnx.export(
            program, (), dynamo=True, verbose=False, input_names=["images"], output_names=["translations"]
        )
    assert graph is not None
    for node in graph.model.graph:
        node.metadata_props.clear()  # contains module names and file paths of this machine
    graph.model.metadata_props.update(description.to_metadata())
    graph.save(path, external_data=False)


def read_onnx(path: Path) -> Run:
    return open_with_onnxruntime(path)[0]


def write_torch(program: ExportedProgram, path: Path, description: Description) -> None:
    """Writes a .pt2 file for `torch.export.load`, with the description in it as translate.json."""
    content = io.BytesIO()  # where a disk is full, torch's own writer ends the process
    torch.export.save(program, content, extra_files={"translate.json": json.dumps(description.to_metadata())})
    path.write_bytes(content.getbuffer())


def read_torch(path: Path) -> Run:
    module = torch.export.load(path).module()
    return lambda images: module(torch.from_numpy(images)).numpy()
