"""Exports trained translators for other programs. To add a format: a file here and a line in FORMATS.

The file has `require(target)`, which raises ConfigurationError, before the model is loaded, for what cannot be written;
`export(source, target)`, which writes and returns what it wrote (see `source.py`); and `load(path, options)`, which
returns a converter for what it wrote, or raises ConfigurationError if that is for other programs only.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from translate.errors import ConfigurationError


@dataclass(frozen=True)
class Format:
    """The module of a format, imported only when it is needed, and the suffixes of its files, none for a folder.

    `graph`: whether it holds the translation itself, not weights: it can be of another project's generator, take bytes,
    and is compared with PyTorch.
    """

    module: str
    suffixes: tuple[str, ...]
    graph: bool = False

    @property
    def code(self) -> Any:
        return import_module(self.module)


FORMATS: dict[str, Format] = {
    "onnx": Format("translate.inference.formats.onnx", (".onnx",), graph=True),
    "torch-export": Format("translate.inference.formats.torch_export", (".pt2",), graph=True),
    "port": Format("translate.inference.formats.port", (".pth", ".ckpt", ".pt")),
    "hub": Format("translate.inference.formats.hub", ()),
}


def implied() -> str:
    """The suffixes and what they imply, in words."""
    return ", ".join(f"{' or '.join(format.suffixes) or 'none, a folder'} ({name})" for name, format in FORMATS.items())


def suffixes() -> tuple[str, ...]:
    """Of all files that hold a model."""
    return tuple(suffix for format in FORMATS.values() for suffix in format.suffixes)


def chosen_format(path: Path, name: str | None) -> tuple[str, Format]:
    """The format of that name, or the one that the path implies. Raises ConfigurationError."""
    suffix = "" if path.is_dir() else path.suffix
    implying = (known for known, format in FORMATS.items() if suffix in (format.suffixes or ("",)))
    name = name or next(implying, None)
    if name is None:
        raise ConfigurationError(f"{path}: give --format, or use a suffix that implies it: {implied()}")
    return name, FORMATS[name]


def reader_of(file: Path) -> Format:
    """The format whose `load` reads a model's file: by its suffix, else a generator's weights, whatever its name."""
    return next((format for format in FORMATS.values() if file.suffix in format.suffixes), FORMATS["port"])
