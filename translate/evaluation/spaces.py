"""Networks whose features compare sets of images: our own classifier, and Inception if its file is there."""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from translate.data.io.images import to_pixels
from translate.evaluation.classifier_errors import ClassifierErrors
from translate.evaluation.classifier_training import Trained
from translate.training.runtime import Runtime
from translate.utils.atomic_files import sha256_of

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
"""torch-fidelity's copy of the network of the published FIDs; its name ends with how its SHA-256 begins."""
WEIGHTS_DIR = "TRANSLATE_WEIGHTS_DIR"


@dataclass(frozen=True)
class Space:
    """A feature space: `features` maps images (batch, channels, height, width) in [-1, 1] to (batch, features)."""

    name: str
    extractor: str
    """Which weights these are, with their hash."""
    resize: str
    """How images are resized for the network."""
    remark: str
    """What its distances may be compared with."""
    features: Callable[[Tensor], Tensor]
    warning: str = ""
    """Why its distances may say little."""


@dataclass(frozen=True)
class Missing:
    """An unavailable space, and why."""

    name: str
    reason: str


def classifier_space(trained: Trained) -> Space:
    """The features below the last layer of the classifier trained on this data set."""
    return Space(
        name="classifier features",
        extractor=f"ResNet-18 trained on the real training images, sha256 {trained.facts['sha256']}",
        resize=trained.classifier.resize,
        remark="compares runs with each other, not with papers",
        features=trained.classifier.features,
        warning=ClassifierErrors.of(trained).warning,
    )


def inception_space(folder: Path | str | None, runtime: Runtime, file: str = INCEPTION_FILE) -> Space | Missing:
    """Inception's pooled features (2048), if `file` is in `folder` (None: in $TRANSLATE_WEIGHTS_DIR).

    Images are rounded to 8 bits, grey ones are repeated to RGB, and the network resizes them as TensorFlow 1 did.
    """
    path = inception_file(folder, file)
    if isinstance(path, Missing):
        return path
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # type: ignore[import-untyped]

    network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(path))
    network.to(runtime.device)
    return Space(
        name="Inception",
        extractor=f"torch-fidelity's {file}, sha256 {sha256_of(path)}",
        resize="bilinear to 299 x 299, as TensorFlow 1 (torch-fidelity)",
        remark="compares with papers only where images, their number and the split are theirs",
        features=lambda images: network(to_pixels(images).expand(-1, 3, -1, -1))[0],
    )


def inception_file(folder: Path | str | None, file: str = INCEPTION_FILE) -> Path | Missing:
    """The file of Inception's weights in `folder` (None: in $TRANSLATE_WEIGHTS_DIR), of the right SHA-256; nothing is
    downloaded. What is wrong (no folder, file or torch-fidelity, another file) is returned, not raised."""
    name, chosen = "Inception", folder or os.environ.get(WEIGHTS_DIR)
    if not chosen:
        return Missing(name, f"unavailable: needs the file {file}; name its folder by --weights-dir or {WEIGHTS_DIR}")
    path = Path(chosen) / file
    if not path.is_file():
        return Missing(name, f"unavailable: needs the file {path}")
    if importlib.util.find_spec("torch_fidelity") is None:
        return Missing(name, "unavailable: needs torch-fidelity; pip install 'image-translate[metrics]'")
    sha256 = sha256_of(path)
    begins = Path(file).stem.rpartition("-")[2]
    if not sha256.startswith(begins):
        return Missing(name, f"unavailable: {path} is another file or damaged: SHA-256 {sha256}, not {begins}...")
    try:
        # torch-fidelity unpickles whatever it gets; a file that passes this holds only tensors and cannot run code.
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle or end-of-file errors, depending on the damage
        return Missing(name, f"unavailable: {path} is not a file of weights: {error}")
    return path
