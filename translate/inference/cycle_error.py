"""Per-pixel difference between an input and its output translated back: what the translation lost or invented."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from translate.data.io.images import Picture, read, to_float
from translate.data.layouts.listing import ASIDE
from translate.data.planes import planes_of
from translate.errors import ConfigurationError, ImageError
from translate.inference.converter import Converter
from translate.inference.delivery import span_in
from translate.inference.naming import with_suffix_behind
from translate.inference.padding import pad
from translate.inference.reasons import attempt
from translate.inference.records import Record
from translate.inference.samples import own_layer, read_sample
from translate.models.base import Request
from translate.reporting.tracking import is_marked, save_marked
from translate.utils.outputs import admit
from translate.utils.printing import shown

WAY_OUT = "move it away, or add --overwrite"
_WHITE = 0.25


def beside(output: Path) -> Path:
    """The path of an output's error picture; it begins with the whole file name, so a.jpg and a.png do not collide.

    Only of a name that would be too long is a part left out.
    """
    return output.with_name(with_suffix_behind(output, ASIDE))


def current(output: Path) -> Path | None:
    """The path of the output's error picture, or None if it is missing or older than the output."""
    path = beside(output)
    try:
        return path if path.is_file() and path.stat().st_mtime_ns >= output.stat().st_mtime_ns else None
    except OSError:  # a file system of shorter names, or an output that has gone
        return None


class CycleError:
    """Translates outputs back and writes, beside each, |input - back-translation| as a grey picture.

    Starts from the output file as written, so that a signal the network hides below the precision of 8 bits or JPEG
    (Chu et al. 2017) does not count as preserved. Black is no difference; white is a quarter of the range from black to
    white or more, on every picture. `failed` lists errors for files that could not be read or written.

    A picture of that name that is not ours is replaced with `overwrite` only.

    Raises ConfigurationError if the model cannot translate back.
    """

    def __init__(self, converter: Converter, request: Request, overwrite: bool = False) -> None:
        if (scale := converter.model.scale) != 1:
            raise ConfigurationError(
                f"--cycle-error: translations of this model are {scale} times as high and wide as their inputs, and it "
                "has no way back; leave it out"
            )
        try:
            self._way_back = converter.model.way_back(request)
        except ConfigurationError as error:
            raise ConfigurationError(f"--cycle-error: {error}") from error
        self._converter, self._request, self._overwrite = converter, request, overwrite
        self.failed: list[str] = []

    def write(self, record: Record) -> float | None:
        """Writes the error picture of a converted file and returns its mean error, from 0 to 1.

        Returns None if the file failed, if it was skipped and its picture is current, or on an error added to `failed`.
        """
        if record.status == "failed" or (record.status == "skipped" and current(record.output)):
            return None
        too_large = "too large for the memory that is free to be translated back"
        return attempt(record.output, lambda: self._write(record), self.failed, too_large)

    def _write(self, record: Record) -> float:
        path, images = beside(record.output), self._converter.images
        given, target = images.to_translate(self._request), images.translated(self._request)
        span = span_in(record.output, own_layer(given, record.beside), target, self._converter.depth)
        try:
            admit(path, ours=is_marked, overwrite=self._overwrite, way_out=WAY_OUT)
        except ConfigurationError as refused:  # of this picture, not of the command
            raise ImageError(str(refused)) from refused
        source, output = read_sample(record.source, record.beside, given), read(record.output, span=span)
        if source.pixels.shape[:2] != output.pixels.shape[:2]:
            raise ImageError(f"{shown(record.output)}: of another size than its input; use --overwrite")
        error = self.measure(source, output)
        grey = np.rint(np.minimum(error / _WHITE, 1) * 255).astype(np.uint8)
        try:
            save_marked(path, Image.fromarray(grey))
        except OSError as failure:
            raise ImageError(f"{shown(path)}: cannot be written: {failure.strerror or failure}") from failure
        return float(error.mean())

    @torch.inference_mode()
    def measure(self, source: Picture, output: Picture) -> np.ndarray:
        """(height, width) float32: the mean over channels of |input - back-translation|; 1 is black against white."""
        converter = self._converter
        wanted = self._floats(source)
        placed = pad(wanted, *converter.padded_size(*wanted.shape[-2:]))[None].to(converter.runtime.device)
        with converter.runtime.autocast():
            request = self._way_back(converter.runtime.layout(placed))
        (back,) = converter.convert_pictures([output], request)
        return ((wanted - self._floats(back)).abs().mean(0) / 2).numpy()

    def _floats(self, picture: Picture) -> torch.Tensor:
        """The picture as (channels, height, width) in [-1, 1]."""
        array = planes_of(picture, self._converter.images.to_translate(self._request))
        return to_float(torch.from_numpy(np.array(array)).permute(2, 0, 1))
