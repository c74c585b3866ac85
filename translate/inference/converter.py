"""A trained translator for tensors, arrays and PIL images of any height and width."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from translate.data.domain import Domain
from translate.data.io.images import Picture, refuse_other_bands
from translate.data.planes import planes_of
from translate.data.written import depth_of
from translate.errors import ConfigurationError, ImageError
from translate.inference.delivery import delivered, form_of
from translate.inference.derived import AsDerived, of_planes
from translate.inference.formats.exported import BYTES_ONLY
from translate.inference.forms import array_from, floats_of, picture_from, pil_image, tensor_like
from translate.inference.network import Network
from translate.inference.options import Depth, Size
from translate.inference.padding import pad
from translate.inference.requests import request_of
from translate.inference.restoring import brought_back
from translate.inference.samples import own_image
from translate.inference.sizing import Sizing
from translate.inference.styles import style_of
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.training.runtime import Precision, Runtime, choose_runtime
from translate.utils.printing import Log, shown

Images = TypeVar("Images", Tensor, np.ndarray, Image.Image)
To = str | Sequence[str] | None
Steps = int | None
BF16_APART = "in five trained models pixels were off from float32's by .2 levels of 255 or less in the mean, 6 at most"
"""See benchmarks/results/2026-11-29-precision-cpu.md."""


class Converter:
    """Wraps a `Translator`, a generator trained by another project or an exported file, together with its domain names.

    converter = translate.load("runs/horse2zebra")
    zebra = converter.convert(Image.open("horse.jpg"), to="zebra")

    The converter takes over the model: it moves to the runtime's device, and bf16 rounds its weights. `deep` is the
    runtime for 16-bit pictures, of which bf16 would keep only 9 bits; None uses the same for all.
    """

    def __init__(
        self,
        model: ImageTranslator,
        images: ImageSpec,
        runtime: Runtime,
        origin: Path | None = None,
        deep: Runtime | None = None,
    ) -> None:
        self.model, self.images, self.runtime = model, images, runtime
        # Copied here because bf16 rounds the weights below.
        theirs = copy.deepcopy(model) if deep not in (None, runtime) else None
        self._deep = Network(theirs, images, deep, origin) if theirs is not None and deep else None
        self.network = Network(model, images, runtime, origin)
        self.origin = origin
        """The file or checkpoint folder that the model was read from."""
        self.fitting = self.network.fitting
        """Decides by memory how many images to batch and which to process in bands (`fitting.tile`)."""
        self.depth: Depth = "target"
        """What translations are delivered as."""
        self.size: Size = "auto"
        """At which size pictures are translated, see `Size`."""
        self.keep_size = True
        """Whether a translation that was made at another size is brought back to that of its input."""
        self.log: Log = lambda line: None
        """Called with a line for the user when memory did not suffice."""
        self.derived: AsDerived | None = None
        """How inputs are made as in training, and what is kept of them; see `keep_lightness`."""
        self.remark: Log = lambda line: None
        """Called once, with what is to be known of a picture that is far from the scale that the model was trained
        at."""
        self._remarked = self._said = False

    @property
    def runs_on(self) -> str:
        """How it runs, in words, for each kind of picture."""
        deep = f" (files of more than 8 bits: {self._deep.runtime.precision})" if self._deep else ""
        return f"{self.runtime}{deep}"

    @property
    def targets(self) -> list[str]:
        """The names of the domains that it converts to."""
        return [self.images.domains[target] for target in self.model.targets()]

    @property
    def keep_lightness(self) -> bool:
        """Whether translations have the lightness of their inputs; for models that colour grey pictures, or raises
        ConfigurationError."""
        return self.derived is not None and self.derived.keep_lightness

    @keep_lightness.setter
    def keep_lightness(self, wanted: bool) -> None:
        derived = self.derived or AsDerived()
        self.derived = derived.keeping_lightness() if wanted else replace(derived, keep_lightness=False)

    def draw(self, seed: int) -> None:
        """Translates with other noise from here on, if the model `draws_noise`; 0 is what it begins with."""
        for network in filter(None, (self.network, self._deep)):
            network.model.seed = seed

    def request(self, to: To, style: Any = None, steps: Steps = None) -> Request:
        """See `request_of`, and `style_of` for the style; None is the model's own choice, of `steps`, too."""
        request = request_of(to, self.model, self.images.domains, steps)
        if style is None:
            return request
        return request.in_style(style_of(style, self.model, self.images, self.runtime, min(request.set)))

    @overload
    def convert(self, images: Images, to: To = ..., style: Any = ..., steps: Steps = ...) -> Images: ...

    @overload
    def convert(self, images: Mapping[str, Images], to: To = ..., style: Any = ..., steps: Steps = ...) -> Images: ...

    @overload
    def convert(
        self, images: list[Images] | list[Mapping[str, Images]], to: To = ..., style: Any = ..., steps: Steps = ...
    ) -> list[Images]: ...

    @overload
    def convert(
        self, images: Iterator[Images | Mapping[str, Images]], to: To = ..., style: Any = ..., steps: Steps = ...
    ) -> Iterator[Images]: ...

    def convert(self, images: Any, to: To = None, style: Any = None, steps: Steps = None) -> Any:
        """Returns the translation of `images` in the same form: tensor, array or PIL image, or a list or iterator of
        these; in the same size, or the model's `scale` times as high and wide.

        Tensor: (channels, height, width) or (batch, channels, height, width), floating point in [-1, 1], uint8, or
        boolean, for which the translation is uint8.
        Array: (height, width) or (height, width, channels), values of the domain that it belongs to, such as HU, of any
        type of numbers; uint8 and uint16 range over all that they hold unless that domain has a span
        (`data.domains.NAME.span`), in which all values must lie. The translation holds values of its own domain: uint8,
        or float32 where the files of that domain are deeper; (height, width) if the input was and it has one channel.
        Booleans are black and white, or 0 and 1 where pixels are numbers, such as classes, or values.
        PIL image: 8 bits of any mode, or 16-bit grey; rotated upright by its EXIF data. Where the files of the target
        are deeper than 8 bits, one channel becomes "F", with values of the domain, and others 8 bits, Pillow's limit.
        Alpha is carried through; a model of 3 channels gives RGB for grey.
        Dict: where samples have several images, an array or a PIL image for each layer, such as {"photo": array,
        "mask": array}; the translation has the form, size and alpha of the one given first, whose proportions the
        others have, too. A tensor holds the planes of all layers, one after another.
        `to` is a domain, or any number of attributes to set ("Blond_Hair") and to clear ("-Male"); it may be omitted if
        the model has a single target. `style`, for a model that knows styles: "seed:7", or a reference image of the
        domain (a file or what `images` may be); `steps`, for a model that translates in steps: how many. Raises
        ConfigurationError for an unknown domain, TypeError for any other kind of object or a domain that is not a
        string, ValueError for any other shape, type, mode or range, no pixels, or other layers than the model's.
        """
        request = self.request(to, style, steps)
        if isinstance(images, list | tuple):
            return [self._convert_one(one, request) for one in images]
        if isinstance(images, Iterator) and not isinstance(images, Image.Image):
            return (self._convert_one(one, request) for one in images)
        return self._convert_one(images, request)

    def _convert_one(self, images: Any, request: Request) -> Any:
        if isinstance(images, Tensor):
            return tensor_like(images, self.convert_floats(floats_of(images), request))
        given, target = self.images.to_translate(request), self.images.translated(request)
        if target.layers:
            raise ConfigurationError(f"translations are samples of {target}: give a tensor of all planes")
        picture, depth = picture_from(images, given), self.depth
        first = next(iter(images.values())) if given.layers else images
        as_image = isinstance(first, Image.Image)
        if depth == "target":
            depth = "8" if as_image and target.channels != 1 else "float" if target.deep else depth
        (converted,) = self.convert_pictures([picture], request, depth)
        array = array_from(converted)
        if as_image:
            return pil_image(array, target)
        return array[..., 0] if first.ndim == 2 and array.shape[-1] == 1 else array

    def convert_floats(self, images: Tensor, request: Request) -> Tensor:
        """Converts images (batch, channels, height, width) in [-1, 1] of any height and width, at the size that
        `sizing` says; keeps the range, and, but for the model's `scale`, the shape unless `keep_size` is False.

        Raises ValueError if the number of channels is not the model's.
        """
        given, target, derived = self.images.to_translate(request), self.images.translated(request), self.derived
        images = _each(of_planes(partial(derived.shaded, said=self._say_once)), images) if derived else images
        if images.shape[1] != given.channels:
            raise ValueError(f"the model was trained on {given.channels} channels, the images have {images.shape[1]}")
        height, width = self._size_for(images.shape[-2], images.shape[-1], request)
        ready = _each(of_planes(derived.working), images) if derived else images
        working = _each(lambda image: given.resized(image, height, width), ready)
        working = _each(of_planes(derived.resized), working) if derived else working
        rows, columns = height * self.model.scale, width * self.model.scale
        found = self.network.run(pad(working, *self.padded_size(height, width)), request)[..., :rows, :columns]
        if self.keep_size and working.shape[-2:] != images.shape[-2:]:
            found = _each(partial(brought_back, given=given, target=target), found, working, ready).clamp(-1, 1)
        return _each(of_planes(derived.finished), found, images) if derived else found

    def convert_pictures(
        self, pictures: Sequence[Picture], request: Request, depth: Depth | None = None
    ) -> list[Picture]:
        """Converts pictures of equal depth whose working sizes are padded alike; each keeps its own alpha, and its own
        size, times the model's `scale`, unless `keep_size` is False, and gets the type and range of its new domain,
        unless another `depth` is wanted.

        They run in one batch if memory suffices, else in halves. An image that does not fit by itself is processed in
        bands of rows with the statistics of the whole image, which gives the same result up to rounding.
        """
        given, target = self.images.to_translate(request), self.images.translated(request)
        owns = [own_image(picture) for picture in pictures]
        pictures = [self.derived.taken(one, self._say_once) for one in pictures] if self.derived else pictures
        forms = [form_of(target, picture, depth or self.depth) for picture in owns]
        held = given.numbered or bool(given.layers)  # of numbers, planes are made once they are resized
        whole = [picture.pixels if held else planes_of(picture, given) for picture in pictures]
        sizes = [self._size_for(array.shape[0], array.shape[1], request) for array in whole]
        ready = [self.derived.working(array) for array in whole] if self.derived else whole
        working = [given.resized(array, *size) for array, size in zip(ready, sizes, strict=True)]
        working = [self.derived.resized(array) for array in working] if self.derived else working
        taken = [planes_of(Picture(array), given) for array in working] if held else working
        network = self.network_for(taken[0].dtype, target)
        translated = network.convert(taken, request, depth_of(forms[0]), self.log)
        if self.keep_size:
            triples = zip(translated, working, ready, strict=True)
            translated = [brought_back(made, small, array, given, target) for made, small, array in triples]
        if self.derived:
            translated = [self.derived.finished(*of) for of in zip(translated, whole, strict=True)]
        return [delivered(*of) for of in zip(owns, translated, forms, strict=True)]

    def rounds(self, request: Request) -> bool:
        """Whether pictures of the kind that the model learned from are translated in bf16."""
        given, target = self.images.to_translate(request), self.images.translated(request)
        return self.network_for(given.held, target).runtime.bf16

    def network_for(self, kind: np.dtype, target: Domain) -> Network:
        """The network for pixels of that type and translations to `target`: that for deep ones, if either is."""
        network = self._deep if self._deep and (kind == np.uint16 or target.deep) else self.network
        network.fitting.tile = self.fitting.tile
        return network

    def sizing(self, request: Request) -> Sizing:
        """At which size pictures are translated for the request. Raises ConfigurationError if `size` is impossible."""
        return Sizing(self.size, self.keep_size, self.images.to_translate(request).scale, self.model.scale)

    def _size_for(self, height: int, width: int, request: Request) -> tuple[int, int]:
        """The working size for pictures of that size; remarks on the first that is far from the trained scale."""
        sizing = self.sizing(request)
        if not self._remarked and (remark := sizing.remark(height, width)):
            self._remarked = True
            self.remark(remark)
        return sizing.working(height, width)

    def _say_once(self, line: str) -> None:
        if not self._said:
            self._said = True
            self.remark(line)

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        return self.network.padded_size(height, width)

    def refuse(self, picture: Picture, name: Path, request: Request) -> None:
        """Raises ImageError, with a message that begins with `name`, if the model cannot translate the picture so."""
        given = self.images.to_translate(request)
        refuse_other_bands(picture, given.stored_channels, name)
        try:
            if self.derived:
                self.derived.refuse(picture.pixels)
        except ValueError as error:
            raise ImageError(f"{shown(name)}: {error}") from None
        if self.model.bytes_only and picture.pixels.dtype != np.uint8 and not given.numbered:
            raise ImageError(f"{shown(name)}: {BYTES_ONLY}")


def size_of(picture: Picture) -> tuple[int, int]:
    """Its height and width."""
    height, width = picture.pixels.shape[:2]
    return height, width


def _each(function: Callable[..., np.ndarray], *images: Tensor) -> Tensor:
    """The function of arrays (height, width, channels), for each image of batches (batch, channels, height, width)."""
    batches = [one.permute(0, 2, 3, 1).cpu().numpy() for one in images]
    made = np.stack([function(*of) for of in zip(*batches, strict=True)])
    return torch.from_numpy(made).permute(0, 3, 1, 2).to(images[0].device)


def for_inference(
    model: ImageTranslator, images: ImageSpec, origin: Path, device: str, precision: Precision
) -> Converter:
    """A converter without the options of training (fused Adam). `auto` precision is bf16 for 8-bit pictures only."""
    runtime = replace(choose_runtime(device, precision), fused=False)
    deep = replace(runtime, bf16=False) if precision == "auto" else runtime
    return Converter(model, images, runtime, origin, deep)
