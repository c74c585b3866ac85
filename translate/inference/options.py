"""What a user may choose of converting and exporting: one value for each concern, read without importing torch."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from translate.errors import ConfigurationError, command
from translate.inference.formats import FORMATS, implied, reader_of
from translate.utils.options import number_or, option
from translate.utils.user_paths import expanded


def shard_of(text: str | None) -> tuple[int, int] | None:
    """I and N of `--shard I/N`; by default those of this process under torchrun, or None for the whole."""
    if text is None:
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        return (int(os.environ.get("RANK", "0")) + 1, processes) if processes > 1 else None
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise ValueError(f"{text}: expected I/N, e.g. 1/8 for the first of eight parts")
    return int(number), int(of)


Dropout = Literal["auto", "on", "off"]
"""Whether another project's generator converts with dropout; auto: as it was trained."""
Backend = Literal["auto", "torch", "onnxruntime", "openvino"]
ImageFormat = Literal["same", "png", "jpeg", "webp", "tiff"]
Depth = Literal["target", "same", "8", "16", "float"]
"""What translations are written as: what the images of their domain are; what came in; 8 or 16 bits from black to
white; or 32-bit floats, in the values of their domain."""
"""The format of an output; "same" is that of its input."""
Size = Literal["auto", "native", "trained"] | int
"""At which size a picture is translated: its own; at the scale that the model was trained at, unless it is near that;
with so many pixels on its shorter side; or auto: as trained, or native where that scale is not known."""
KeepSize = Literal["yes", "no"]
Tile = Literal["auto", "off"] | int
"""Whether to process an image in bands of rows: as memory requires, never, or always with this many rows."""


@dataclass(frozen=True)
class Target:
    """What to convert to."""

    to: tuple[str, ...] = option(
        (),
        metavar="DOMAIN",
        help="The domain to convert to, if the run has several. Attributes: NAME sets one, -NAME clears one.",
    )
    style: str | None = option(
        None,
        metavar="seed:N|IMAGE",
        help="For a model that knows styles: that of random numbers with this seed, or of a reference image, which is "
        "of the domain to convert to; default seed:0.",
    )
    steps: int | None = option(
        None,
        metavar="N",
        least=1,
        most=1000,
        help="For a model that translates in steps (bridge): in how many, each a pass of the network; default "
        "model.steps of its recipe.",
    )


@dataclass(frozen=True)
class ForeignOptions:
    """How a generator of another project converts."""

    evaluated: bool = option(
        False,
        "--eval",
        help="For another project's generator: running statistics and no dropout, as with their --eval.",
    )
    dropout: Dropout = option(
        "auto",
        help="For another project's generator: auto is as it was trained, which is guessed for a U-Net, and printed.",
    )

    def refuse_for(self, model: Path) -> None:
        """Raises ConfigurationError for an option that would have no effect with such a model."""
        for name, given in (("--eval", self.evaluated), (f"--dropout {self.dropout}", self.dropout != "auto")):
            if given and (model.is_dir() or reader_of(model).graph):
                raise ConfigurationError(
                    f"{name} is for another project's generator, which {model} is not; leave it out"
                )


@dataclass(frozen=True)
class Weights:
    """Which weights of a run are used."""

    checkpoint: str = option("latest", metavar="latest|best|STEP", help="Which weights of the run.")


@dataclass(frozen=True)
class OnDevice:
    """What computes: the CPU, or a GPU; auto takes a GPU if there is one."""

    device: str = option("auto", metavar="auto|cpu|cuda[:N]|mps", help="Where to run.")


@dataclass(frozen=True)
class ModelOptions(ForeignOptions, OnDevice, Weights):
    """Which model converts, and how it runs."""

    checkpoint: str = option(
        "latest",
        metavar="latest|best|STEP",
        help="Which weights of the run; several, such as 1000,best,latest, each convert into a folder of their own in "
        "OUTPUT, named by its step, and stand side by side in page and sheets.",
    )
    precision: Literal["auto", "float32", "bf16"] = option(
        "auto",
        help="auto is bf16 where the processor is fast in it (pixels are off by .2 levels of 255 or less in the mean), "
        "and float32 for images of 16 bits.",
    )
    backend: Backend = option("auto", help="What runs the network; exported .onnx files run on the last two.")

    def refuse_backend_for(self, model: Path) -> None:
        """Raises ConfigurationError for a backend that runs exported files, which the model is not."""
        if self.backend not in ("auto", "torch"):
            raise ConfigurationError(
                f"{model}: --backend {self.backend} runs ONNX files; make one with "
                f"{command('export', model, 'model.onnx')}"
            )


def named_places(texts: tuple[str, ...]) -> tuple[tuple[str, Path], ...]:
    """Names and paths of `--with NAME=DIR`, in the order given. Raises ValueError."""
    places: dict[str, Path] = {}
    for text in texts:
        name, equals, place = text.partition("=")
        if not (name and equals and place):
            raise ValueError(f"{text}: expected NAME=DIR, e.g. mask=masks/")
        if name in places:
            raise ValueError(f"{name} twice; give each layer once")
        places[name] = expanded(place)
    return tuple(places.items())


@dataclass(frozen=True)
class InputOptions:
    """Which images are converted."""

    beside: tuple[tuple[str, Path], ...] = option(
        (),
        "--with",
        metavar="NAME=DIR",
        parse=named_places,
        help="Where samples are several images, of which INPUT holds one: the folder of the layer NAME (or its file, "
        "for one file), with the same names; suffixes may differ. Once for each further layer.",
    )
    no_links: bool = option(False, help="Leave out links to files outside of INPUT, instead of converting them.")
    shard: tuple[int, int] | None = option(
        None,
        metavar="I/N",
        parse=shard_of,
        help="Convert only part I of N, so that N machines can share a folder; under torchrun each process takes its "
        "part.",
    )


@dataclass(frozen=True)
class OutputOptions:
    """How images are converted and written."""

    overwrite: bool = option(False, help="Convert again what is already in OUTPUT.")
    format: ImageFormat = option(
        "same",
        choices=("same", "png", "jpeg", "jpg", "webp", "tiff", "tif"),
        parse=lambda text: {"jpg": "jpeg", "tif": "tiff"}.get(text, text),
        help="Format of the outputs. Where a.jpg and a.png would both become a.png, the first becomes a.jpg.png.",
    )
    depth: Depth = option(
        "target",
        choices=get_args(Depth),
        help="What outputs are: as the images of their domain that the model was trained on (target); as their inputs "
        "(same); 8 or 16 bits; or floats, in the values of their domain. What other formats cannot hold needs TIFF.",
    )
    size: Size = option(
        "auto",
        metavar="auto|native|trained|N",
        parse=number_or(1 << 16, auto="auto", native="native", trained="trained"),
        help="At which size images are translated: their own (native); as training would have resized them, unless "
        "they are within 15 % of that (trained); with N pixels on the shorter side; auto is trained, or "
        "native where the model does not say how it was trained, and for a model that enlarges.",
    )
    keep_size: KeepSize = option(
        "yes",
        help="Whether images that were translated at another size are brought back to their own; by a model that "
        "enlarges, to as many times their own.",
    )
    keep_lightness: bool = option(
        False,
        help="For a model that colours grey pictures: gives its colours to the lightness of the input, which stays as "
        "it is (CIE's L*).",
    )
    workers: int = option(2, least=1, most=256, help="Threads that decode, and as many that encode.")
    batch: int | None = option(
        None,
        metavar="auto|N",
        text="auto",
        parse=number_or(4096, auto=None),
        help="Images of equal size converted at once; auto: 1 on a CPU, by free memory on a GPU. Fewer if memory runs "
        "out.",
    )
    tile: Tile = option(
        "auto",
        metavar="auto|off|N",
        text="auto",
        parse=number_or(1 << 20, auto="auto", off="off"),
        help="Convert an image N rows at a time, with the statistics of the whole image: the same result in less "
        "memory; auto does so only with images that would not fit.",
    )
    styles: int | None = option(
        None,
        metavar="N",
        least=1,
        most=10_000,
        help="For a model that knows styles: N outputs of each image, NAME-1, NAME-2, ..., in the styles seed:1 to "
        "seed:N.",
    )
    steady: bool = option(
        False,
        help="Less flicker in a video: each frame is blended with the one before, moved along the optical flow of the "
        "input. Says how much it flickers with and without, beside the input itself.",
    )
    max_pixels: int | None = option(
        None,
        metavar="N",
        least=1,
        help="Largest image to read, in pixels; default 89478485: a file that claims more is likely an attack.",
    )
    roll_out: int | None = option(
        None,
        metavar="K",
        least=1,
        most=100_000,
        help="For a model of the next frame: continue each clip by K frames beyond its end, each predicted from the "
        "ones before; instead of predicting its own frames.",
    )
    anonymise: bool = option(
        False,
        help="Of volumes: leave out what says whom they are of. Of a DICOM series only pixels, their place and the "
        "technique are kept, and no private element; of NIfTI no text and no extension.",
    )


def refuse_roll_out(writing: OutputOptions, model: Path | None, known: bool = False) -> None:
    """Raises ConfigurationError if clips are to go on by a model that is not `known` to tell next frames."""
    if writing.roll_out and not known:
        raise ConfigurationError(
            f"--roll-out {writing.roll_out}: {model} translates images and tells no next frames; leave it out"
        )


@dataclass(frozen=True)
class Extras:
    """What is written beside the translations."""

    manifest: Path | None = option(None, help="Add a line of JSON to this file for each image.")
    compare: Path | None = option(None, metavar="DIR", folder=True, help="Also write sheets of inputs beside outputs.")
    gallery: Path | None = option(None, metavar="FILE.html", help="Also write a page that shows them all.")
    truth: Path | None = option(
        None,
        metavar="DIR",
        help="The true pictures, shown beside the outputs in page and sheets: a folder with the names of INPUT (or one "
        "file); suffixes may differ. Where INPUT is of a folder of pairs, found by itself.",
    )
    cycle_error: bool = option(
        False,
        help="Also write NAME.cycle-error.png beside each output: how far the translation back differs from the input. "
        "Takes twice as long.",
    )


@dataclass(frozen=True)
class ExportOptions(ForeignOptions, Weights):
    """What is exported, as what."""

    format: str | None = option(None, choices=FORMATS, help=f"Default by the suffix of OUT: {implied()}.")
    as_bytes: bool = option(False, "--bytes", help="For graphs: uint8 in and out instead of floats in [-1, 1].")
    tolerance: float = option(
        1e-4,
        least=0,
        help="For graphs: the largest difference from PyTorch, on the scale of [-1, 1]; above it nothing is written.",
    )
    overwrite: bool = option(False, help="Replace OUT.")


@dataclass(frozen=True)
class SampleOptions(OnDevice, Weights):
    """Which images are generated from noise."""

    count: int = option(64, least=1, help="How many images.")
    label: str | None = option(None, metavar="CLASS", help="Generate this class only; default: all classes in turn.")
    seed: int = option(0, least=0, help="The same seed, the same images.")
    grid: bool = option(False, help="Also write grid.png, all of them side by side.")
    overwrite: bool = option(False, help="Replace what is already in OUTPUT.")
