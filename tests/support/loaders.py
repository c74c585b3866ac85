"""A training loader from flat settings, as tests give them."""

from translate.data.cache.memory import Memory
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.loader import Loader

DECODING, CROPPING = {"resize", "interpolation"}, {"flip", "augment"}


def make_loader(split, make, channels, size, load_size=None, cache_bytes=0, **settings) -> Loader:
    decoding = {name: settings.pop(name) for name in DECODING & settings.keys()}
    cropping = {name: settings.pop(name) for name in CROPPING & settings.keys()}
    settings.setdefault("cache", Memory(cache_bytes))
    return Loader(
        split, make, Decoding(channels, load_size or size, **decoding), Cropping(size, **cropping), **settings
    )
