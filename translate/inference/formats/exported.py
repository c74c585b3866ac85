"""Converts with ONNX files that `translate export` wrote, through ONNX Runtime or OpenVINO, on the CPU."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from translate.data.domain import Domain
from translate.data.io.images import to_float, to_pixels
from translate.data.io.values import UNIT, Span
from translate.errors import ConfigurationError, TranslateError
from translate.inference.derived import AsDerived
from translate.inference.network import require_scale
from translate.inference.options import Backend
from translate.inference.padding import padded_size
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.training.runtime import Precision, Runtime, choose_runtime
from translate.utils.stored import UnreadableError, parse_json

Run = Callable[[np.ndarray], np.ndarray]
_PREFIX = "translate."
_JSON = ("domains", "span", "each", "derived")
_NUMBERS = ("channels", "stride", "scale")
BYTES_ONLY = "the model was exported with --bytes and takes 8-bit images only; export it without"


@dataclass(frozen=True)
class Description:
    """The metadata of an exported file."""

    name: str
    """The recipe's name."""
    domains: tuple[str, ...]
    """All domains of the model."""
    target: str
    """The domain that this file converts to."""
    channels: Annotated[int, Field(ge=1, le=256)]
    stride: Annotated[int, Field(ge=1, le=1024)]
    """Height and width must be multiples of this."""
    values: Literal["bytes", "floats"]
    """uint8, or float32 in [-1, 1]; the same for input and output."""
    version: str
    """The version of this package."""
    span: Span = UNIT
    """For files of measured values: the values mapped to -1 and 1 in training (`data.range`); 0 to 1 if missing."""
    each: tuple[()] | tuple[Domain, Domain] = ()
    """What the images are that go in, and those that come out; empty in files of 0.1.0."""
    scale: Annotated[int, Field(ge=1, le=64)] = 1
    """How many times higher and wider the images are that come out; 1 if missing."""
    derived: AsDerived | None = None
    """How inputs are made as in training, and what `translate convert` keeps of them; None if missing."""

    def to_metadata(self) -> dict[str, str]:
        """The fields as strings, under keys that begin with `translate.`."""
        return {
            f"{_PREFIX}{key}": json.dumps(value) if key in _JSON else str(value) for key, value in asdict(self).items()
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Description:
        """Reads back `to_metadata`. Raises UnreadableError, naming the key, for another program's metadata."""
        given = {f"{_PREFIX}span": json.dumps(UNIT), f"{_PREFIX}each": "[]", **metadata}
        values = {key: given[f"{_PREFIX}{key}"] for key in cls.__dataclass_fields__ if f"{_PREFIX}{key}" in given}
        numbers: dict[str, Any] = {
            key: parse_json(values[key], Any, key) for key in (*_JSON, *_NUMBERS) if key in values
        }
        return parse_json(json.dumps(values | numbers), cls, "metadata")


class ExportedGenerator(ImageTranslator):
    """Converts with the graph of an exported file, like a run of ours. It has a single target."""

    def __init__(self, run: Run, description: Description) -> None:
        super().__init__()
        self.run, self.description = run, description
        self.bytes_only = description.values == "bytes"

    def translate(self, images: Tensor, request: Request) -> Tensor:
        if not self.bytes_only:
            return self._run(images.float())
        pixels = to_pixels(images)
        if (to_float(pixels) - images).abs().max() > 1e-3:
            raise TranslateError(BYTES_ONLY)
        return to_float(self._run(pixels))

    def try_out(self, path: Path) -> None:
        """Raises ConfigurationError unless the file takes an image as it says, and gives one of the size it says."""
        described = self.description
        height, _ = padded_size(1, 1, described.stride)
        width = 2 * height
        images = torch.zeros(1, described.channels, height, width)
        try:
            converted = self._run(to_pixels(images) if self.bytes_only else images)
        except Exception as error:  # each runtime raises its own exception types
            raise ConfigurationError(f"{path}: does not take images as it says: {_first_line(error)}") from error
        require_scale(images, converted, self.scale, str(path))

    def _run(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.run(np.ascontiguousarray(images.numpy())))

    def targets(self) -> Sequence[int]:
        return [0]

    @property
    def stride(self) -> int:
        return self.description.stride

    @property
    def scale(self) -> int:
        return self.description.scale


def read_exported(
    path: Path, backend: Backend = "auto", device: str = "auto", precision: Precision = "auto"
) -> tuple[ExportedGenerator, ImageSpec, Runtime]:
    """The generator in an ONNX file that `translate export` wrote; `auto` is ONNX Runtime.

    ONNX Runtime computes in float32; OpenVINO also in bf16, by default if the CPU is fast at it.
    Raises ConfigurationError for any other file, a device or precision that the backend lacks, or a missing package.
    """
    if device not in ("auto", "cpu"):
        raise ConfigurationError(f"--device {device}: an exported file runs on the processor; give the run for a GPU")
    if backend == "torch":
        raise ConfigurationError(f"{path}: --backend torch converts with the run itself, not with an exported file")
    if backend == "openvino":
        runtime = _bare(precision)
        run, metadata = open_with_openvino(path, runtime.bf16)
    else:
        if precision == "bf16":
            raise ConfigurationError(f"{path}: ONNX Runtime computes in float32; bf16 needs --backend openvino")
        runtime = _bare("float32")
        run, metadata = open_with_onnxruntime(path)
    try:
        description = Description.from_metadata(metadata)
    except UnreadableError as error:
        raise ConfigurationError(f"{path}: not an ONNX file that `translate export` wrote ({error})") from error
    given, target = description.each or (None, None)
    domains, each = (description.target,), (target,) if target else ()
    images = ImageSpec(description.channels, 0, domains, span=description.span, each=each, given=given)
    generator = ExportedGenerator(run, description)
    generator.try_out(path)
    return generator, images, runtime


def open_with_onnxruntime(path: Path) -> tuple[Run, dict[str, str]]:
    """The graph as a float32 function, and the file's metadata. Raises ConfigurationError."""
    runtime = needed("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with _as_configuration_error(path):
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0], session.get_modelmeta().custom_metadata_map


def open_with_openvino(path: Path, bf16: bool) -> tuple[Run, dict[str, str]]:
    """Like `open_with_onnxruntime`, through OpenVINO's CPU plugin. Raises ConfigurationError."""
    openvino = needed("openvino", "openvino")
    hints = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    with _as_configuration_error(path):
        model = openvino.Core().read_model(path)
        compiled = openvino.Core().compile_model(model, "CPU", hints)
    information = dict(model.get_rt_info().items())
    metadata = information.get("framework", {})
    # A copy, because the next call reuses the output's memory.
    return lambda images: compiled(images)[0].copy(), {key: value.value for key, value in metadata.items()}


def needed(module: str, extra: str) -> Any:
    """Imports an optional package. If it is missing, raises ConfigurationError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(f"{module} is not installed: pip install 'image-translate[{extra}]'") from error


@contextmanager
def _as_configuration_error(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each runtime raises its own exception types
        raise ConfigurationError(f"{path}: cannot be read as ONNX: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _bare(precision: Precision) -> Runtime:
    """The CPU without PyTorch's options, none of which reaches what other libraries run."""
    return Runtime(torch.device("cpu"), bf16=choose_runtime("cpu", precision).bf16, fused=False)
