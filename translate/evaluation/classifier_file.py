"""A trained classifier on disk: a folder that is written whole or not at all, and verified when read.

weights.safetensors    the state of torchvision's ResNet-18
facts.json             what it reads, what it was trained on and how, its held-out accuracy, the weights' SHA-256
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict
from safetensors import SafetensorError
from safetensors.torch import save_file
from typing_extensions import TypedDict

from translate.data.labels import LabelGroup
from translate.data.source import Readable
from translate.data.source_file import Source
from translate.errors import ImageError, TranslateError
from translate.evaluation.classifier import Classifier, ClassifierSettings
from translate.evaluation.classifier_training import Trained
from translate.models.base import ImageSpec
from translate.networks.measured import no_larger_than
from translate.networks.weights_file import not_finite
from translate.training.checkpoint_json import Positive, Sha256, require_format
from translate.training.runtime import Runtime
from translate.utils.atomic_files import atomic_folder, clear_leftovers, sha256_of
from translate.utils.printing import shown
from translate.utils.stored import json_text, read_json
from translate.utils.tensor_file import read_tensors

FORMAT = 2
"""Since 2, the facts count how each domain was read on held-out images; older ones are trained again."""


class _Facts(TypedDict):
    """facts.json; what it was trained on is compared whole."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]
    format: int
    sha256: Sha256
    groups: list[tuple[Positive, bool]]
    channels: Positive
    size: Positive | tuple[Positive, Positive]
    domains: list[str]
    settings: ClassifierSettings
    steps: int
    held_out: dict[str, Any]


def classifier_for(
    folder: Path,
    images: ImageSpec,
    settings: ClassifierSettings,
    data: Mapping[str, Any],
    train: Callable[[], Trained],
    runtime: Runtime,
) -> Trained:
    """The classifier in `folder`, if it is of this format and was trained for these images, settings and `data`, else a
    newly trained one, which is then saved there; on the runtime's device.

    `data` describes what it learns from in values JSON can hold. Raises TranslateError if the saved one is damaged or
    the new one cannot be written.
    """
    facts = {
        "format": FORMAT,
        "domains": images.domains,
        "groups": [(group.size, group.exclusive) for group in images.groups],
        "channels": images.channels,
        "size": images.size,
        "settings": settings.model_dump(),
        "data": dict(data),
    }
    wanted = json.loads(json.dumps(facts))  # with lists for tuples, as it comes back
    if folder.is_dir():
        saved = load_classifier(folder)
        if {key: saved.facts.get(key) for key in wanted} == wanted:
            runtime.adopt(saved.classifier)
            return saved
    return save_classifier(folder, train(), wanted)


def save_classifier(folder: Path, trained: Trained, facts: Mapping[str, Any]) -> Trained:
    """Replaces what is in `folder`. Returns the classifier with the facts written, including `sha256`. Raises
    TranslateError if it cannot be saved."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder.parent)
        with atomic_folder(folder) as working:
            state = {key: value.cpu().contiguous() for key, value in trained.classifier.network.state_dict().items()}
            save_file(state, working / "weights.safetensors")
            written = {**trained.facts, **facts, "sha256": sha256_of(working / "weights.safetensors")}
            (working / "facts.json").write_text(json_text(written, indent=1) + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise TranslateError(f"{folder}: the classifier could not be saved ({error})") from error
    return replace(trained, facts=written)


def load_classifier(folder: Path) -> Trained:
    """Loads a classifier on the CPU, in evaluation mode. Raises TranslateError if a file is missing, damaged or of
    a later format."""
    try:
        facts: dict[str, Any] = read_json(folder / "facts.json", dict[str, Any])
        require_format(folder / "facts.json", int(facts.get("format", FORMAT)), FORMAT)
        typed: _Facts = read_json(folder / "facts.json", _Facts)
        if sha256_of(folder / "weights.safetensors") != typed["sha256"]:
            raise ValueError("weights.safetensors is not the file that was written")
        weights = read_tensors(folder / "weights.safetensors")
        if bad := not_finite(weights):
            raise ValueError(f"{bad} is not finite")
        groups = tuple(LabelGroup(size, exclusive) for size, exclusive in typed["groups"])
        images = ImageSpec(typed["channels"], typed["size"], tuple(typed["domains"]), groups)
        with no_larger_than(weights):
            classifier = Classifier(images, typed["settings"].size)
        classifier.network.load_state_dict(weights)
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError, TranslateError) as error:
        raise TranslateError(
            f"{folder}: incomplete or damaged classifier ({error}); delete the folder to have it trained again"
        ) from error
    return Trained(classifier.eval().requires_grad_(False), facts)


_ENDS = 4096


def fingerprint(sources: Sequence[Readable], labels: np.ndarray) -> str:
    """SHA-256 of the labels and of the images' names, in order, and contents.

    Of a file that is its size, beginning and end, because reading all would take as long as training. Raises ImageError
    if one cannot be read.
    """
    found = hashlib.sha256(np.ascontiguousarray(labels).tobytes())
    for source in sources:
        found.update(os.fsencode(f"{source.path.parent.name}/{source.path.name}\n"))
        found.update(_ends(source.path) if isinstance(source, Source) else source.read(1).tobytes())
    return found.hexdigest()


def _ends(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            begins = file.read(_ENDS)
            file.seek(max(0, size - _ENDS))
            return b"%d:" % size + begins + file.read(_ENDS)
    except OSError as error:
        raise ImageError(f"{shown(path)}: cannot be read: {error.strerror}") from error
