"""Augmentation with albumentations: the transforms a recipe may use, with reproducible randomness.

Geometric transforms apply to all images of a pair. Photometric ones (colour, noise, blur) apply to the inputs
only: a randomly darkened target is no longer the ground truth. Unpaired images are augmented one by one, so each
gets both. Label maps get geometric ones only, by the nearest pixel.
"""

import inspect
import os
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field, field_validator

from translate.data.label_maps import NOTHING
from translate.errors import ConfigurationError, nearest
from translate.utils.settings import Settings

GEOMETRY = (
    "Affine", "D4", "ElasticTransform", "GridDistortion", "OpticalDistortion", "Perspective",
    "RandomRotate90", "Rotate", "SafeRotate", "Transpose", "VerticalFlip",
)  # fmt: skip
TURNING = ("D4", "RandomRotate90", "Transpose")
"""Those of them that swap height and width."""
PHOTOMETRY = (
    "CLAHE", "ChannelDropout", "ChannelShuffle", "CoarseDropout", "ColorJitter", "Defocus", "Downscale",
    "GaussNoise", "GaussianBlur", "HueSaturationValue", "ISONoise", "ImageCompression", "MedianBlur",
    "MotionBlur", "MultiplicativeNoise", "PlanckianJitter", "RGBShift", "RandomBrightnessContrast",
    "RandomGamma", "RandomToneCurve", "SaltAndPepper", "Sharpen", "ShotNoise", "ToGray", "UnsharpMask",
)  # fmt: skip


class Augmentation(Settings):
    """An albumentations transform: its class name, its probability, and its own arguments.

    Example: `{name: Rotate, p: 0.5, limit: 10}`. Areas that rotation and the like uncover are filled by mirroring the
    image at its border, unless `border_mode` says otherwise (an OpenCV constant; 0 fills with black).
    """

    model_config = ConfigDict(extra="allow")

    name: str
    p: float = Field(0.5, ge=0, le=1)

    @field_validator("name")
    @classmethod
    def _is_allowed(cls, name: str) -> str:
        allowed = (*GEOMETRY, *PHOTOMETRY)
        if name not in allowed:
            raise ValueError(f"no augmentation '{name}'{nearest(name, allowed)}")
        return name

    @property
    def arguments(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class Augmenter:
    """Applies augmentations to images of equal size: a pure function of images and seed, and thread-safe. Raises
    ConfigurationError for arguments that a transform does not have or rejects."""

    def __init__(self, augmentations: Sequence[Augmentation]) -> None:
        self._geometry = [a for a in augmentations if a.name in GEOMETRY]
        self._photometry = [a for a in augmentations if a.name in PHOTOMETRY]
        self._own = threading.local()  # transforms hold random state, so threads must not share them
        for augmentation in augmentations:  # refused here, not at the first batch
            _transform(augmentation)

    def __call__(
        self, images: Sequence[np.ndarray], seed: int, numbered: Sequence[bool] = (), inputs: int = 1
    ) -> list[np.ndarray]:
        """Augments images (height, width, channels), uint8 or uint16; geometry first, each in the order given.
        `numbered`: which hold numbers, such as label maps, if any do. `inputs`: how many of the first are inputs."""
        numbered = numbered or [False] * len(images)
        images = [_as_taken(*of) for of in zip(images, numbered, strict=True)]
        images = self._warp(images, numbered, seed)
        for number in range(inputs):
            if not numbered[number]:
                images[number] = self._colour(images[number], seed)
        return [_to_uint16(image) if image.dtype == np.float32 else image for image in images]

    def _warp(self, images: list[np.ndarray], numbered: Sequence[bool], seed: int) -> list[np.ndarray]:
        if not self._geometry:
            return images
        names = [f"{'numbers' if of_numbers else 'image'}{i or ''}" for i, of_numbers in enumerate(numbered)]
        given = {"image": images[0], **dict(zip(names, images, strict=True))}  # a pipeline always takes an "image"
        warped = self._pipeline(self._geometry, tuple(name for name in names if name != "image"), seed)(**given)
        return [warped[name].reshape(image.shape) for name, image in zip(names, images, strict=True)]

    def _colour(self, image: np.ndarray, seed: int) -> np.ndarray:
        if not self._photometry:
            return image
        try:
            return self._pipeline(self._photometry, (), seed)(image=image)["image"]
        except (ValueError, TypeError) as error:
            names = ", ".join(a.name for a in self._photometry)
            raise ConfigurationError(
                f"augment: {names}: not for images of {image.shape[2]} channels: {error}"
            ) from error

    def _pipeline(self, augmentations: list[Augmentation], others: tuple[str, ...], seed: int) -> Any:
        """Returns the current thread's pipeline, with the seed set."""
        pipelines = self._own.__dict__.setdefault("pipelines", {})
        key = (augmentations is self._geometry, others)
        if key not in pipelines:
            pipelines[key] = albumentations().Compose(
                [_transform(augmentation) for augmentation in augmentations],
                additional_targets={name: "mask" if name.startswith("numbers") else "image" for name in others},
            )
        pipelines[key].set_random_seed(seed)
        return pipelines[key]


def albumentations() -> ModuleType:
    """Imports and returns the library. Raises ConfigurationError if its AGPL successor is installed."""
    with suppress(metadata.PackageNotFoundError):
        metadata.distribution("albumentationsx")
        raise ConfigurationError(
            "augment: AlbumentationsX is installed, whose licence is the AGPL; uninstall albumentationsx and "
            "install albumentations==2.0.8"
        )
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would otherwise check for updates online
    import albumentations

    return albumentations


def _transform(augmentation: Augmentation) -> Any:
    kind, arguments = getattr(albumentations(), augmentation.name), augmentation.arguments
    known = [name for name in inspect.signature(kind).parameters if name != "p"]
    for name in arguments:
        if name not in known:  # albumentations would only warn and ignore it
            raise ConfigurationError(
                f"augment: {augmentation.name} has no '{name}'; it has {', '.join(known) or 'none'}"
            )
    if "border_mode" in known:
        arguments.setdefault("border_mode", 4)  # cv2.BORDER_REFLECT_101
    if "fill_mask" in known:
        arguments.setdefault("fill_mask", NOTHING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return kind(**arguments, p=augmentation.p)
    except (ValueError, TypeError, Warning) as error:
        raise ConfigurationError(f"augment: {augmentation.name}: {error}") from error


def _as_taken(image: np.ndarray, numbered: bool) -> np.ndarray:
    """The image as albumentations takes it: it cannot change the colours of 16 bits."""
    return np.ascontiguousarray(image) if numbered or image.dtype == np.uint8 else _to_float(image)


def _to_float(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32, order="C") / 65535


def _to_uint16(image: np.ndarray) -> np.ndarray:
    return np.rint(image.clip(0, 1) * 65535).astype(np.uint16)
