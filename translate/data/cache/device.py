"""A training set held entirely on the device: crops are gathered there, and the host sends only their coordinates."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from translate.data.ahead import ahead
from translate.data.batch import Batch
from translate.data.decoding import DecodedImages
from translate.data.loader import Loader
from translate.errors import TranslateError
from translate.utils.ram import available_ram
from translate.utils.sides import Sides

CHUNK = 64 << 20  # bytes between two copies to the device
HOST_LIMIT = 4_000_000_000
SHARE = 0.5
"""Share of the free memory to use; the rest is for the networks."""
Stream = Callable[[int, int], Generator[Batch]]


class Unfit(TranslateError):
    """A set that cannot be held on the device; the message says why."""


def on_device(loader: Loader[Batch], device: torch.device, limit: int | None, log: Callable[[str], None]) -> Stream:
    """Returns the loader's stream, from the memory of `device` if the set fits; otherwise from the host, and says why.

    `limit`: bytes that images may take there; None means half of a CUDA device's free memory; elsewhere half of the
    host's, but at most 4 GB.
    """
    try:
        images = _moved(loader, device, _limit(device) if limit is None else limit)
    except Unfit as reason:
        log(f"--cache device: {reason}; images are cached in main memory instead")
        return partial(loader.stream, pin=device.type == "cuda")
    each = {id(image): image for image in images}.values()
    megabytes = sum(image.nbytes for image in each) / 1e6
    log(f"the training set is cached on {device}: {sum(map(len, each)):,} images, {megabytes:,.0f} MB")
    return DeviceLoader(loader, images).stream


class DeviceLoader:
    """Makes exactly the batches of `loader`, on the device. `images` holds all images of each domain, (images, height,
    width, channels), uint8 or uint16."""

    def __init__(self, loader: Loader[Batch], images: Sequence[Tensor]) -> None:
        self._loader, self._images = loader, images
        self._sizes = [(image.shape[1], image.shape[2]) for image in images]

    def stream(self, start: int = 0, every: int = 1) -> Generator[Batch]:
        """Yields the batches of steps `start`, `start + every`, ... forever; closing the generator ends its threads."""
        numbered = ahead(lambda step: (step, self._crops(step)), start, every, self._loader.workers)
        try:
            for step, crops in numbered:
                yield self._batch(step, crops)
        finally:
            numbered.close()

    def _crops(self, step: int) -> Tensor:
        crops = torch.from_numpy(self._loader.crops_of(step, self._sizes))
        return crops.pin_memory() if self._images[0].is_cuda else crops

    def _batch(self, step: int, crops: Tensor) -> Batch:
        there = crops.to(self._images[0].device, non_blocking=True)
        size_of, pairs = self._loader.crops.size_of, enumerate(zip(self._images, there, strict=True))
        return self._loader.made_of(
            step, [gather(images, of_domain, size_of(number)) for number, (images, of_domain) in pairs]
        )


def gather(images: Tensor, crops: Tensor, size: Sides) -> Tensor:
    """Takes crops (batch, channels, *size), channels-last in memory, from (images, height, width, channels).

    `crops`: int64 (4, batch): image index, top, left, and 1 if the crop is mirrored.
    """
    index, top, left, mirrored = crops.unsqueeze(-1)
    down, along = (torch.arange(side, device=images.device) for side in size)
    rows = top + down
    columns = left + torch.where(mirrored.bool(), size.width - 1 - along, along)
    # torch cannot index uint16, so reinterpret as int16.
    bits = images.view(torch.int16) if images.dtype == torch.uint16 else images
    taken = bits[index[:, :, None], rows[:, :, None], columns[:, None, :]]
    return taken.view(images.dtype).permute(0, 3, 1, 2)


def _limit(device: torch.device) -> int:
    if device.type == "cuda":
        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    return min(HOST_LIMIT, int(SHARE * available_ram()))


def _moved(loader: Loader[Batch], device: torch.device, limit: int) -> list[Tensor]:
    """Moves all images of all domains to the device. Raises Unfit."""
    if loader.crops.augments:
        raise Unfit("data.augment works on the host")
    if loader.crops.void:
        raise Unfit("crops are looked for where there are data, on the host")
    if loader.derive:
        raise Unfit("data.derive works on the host")
    first = [images.load(0) for images in loader.images]
    lists = dict(zip(loader.images, first, strict=True))  # references are of the same images
    wanted = sum(len(images) * image.nbytes for images, image in lists.items())
    if wanted > limit:
        raise Unfit(f"the training set takes {wanted / 1e9:.1f} GB, and {limit / 1e9:.1f} GB are free for it")
    there = {images: _all_moved(images, image, loader.workers, device) for images, image in lists.items()}
    return [there[images] for images in loader.images]


def _all_moved(images: DecodedImages, like: np.ndarray, workers: int, device: torch.device) -> Tensor:
    """All images of a domain, on the device: (images, height, width, channels). Raises Unfit."""
    dtype = torch.uint16 if like.dtype == np.uint16 else torch.uint8
    there = torch.empty((len(images), *like.shape), dtype=dtype, device=device)
    for start, chunk in _chunks(images, workers, max(1, CHUNK // like.nbytes)):
        if any((image.shape, image.dtype) != (like.shape, like.dtype) for image in chunk):
            raise Unfit("its images differ in size or depth")
        there[start : start + len(chunk)] = torch.from_numpy(np.stack(chunk)).to(device)
    return there


def _chunks(images: DecodedImages, workers: int, size: int) -> Iterator[tuple[int, list[np.ndarray]]]:
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for start in range(0, len(images), size):
            yield start, list(pool.map(images.load, range(start, min(start + size, len(images)))))
