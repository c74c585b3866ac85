"""A trained classifier on disk: a folder that is written whole or not at all, and verified when read.

weights.safetensors    the state of torchvision's ResNet-18
facts.json             what it reads, what it was trained on and how, its held-out accuracy, the weights' SHA-256
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from translate.data.labels import LabelGroup
from translate.engine import Engine
from translate.errors import TranslateError
from translate.evaluation.classifier import Classifier, ClassifierSettings
from translate.evaluation.teaching import Trained
from translate.json_text import json_text
from translate.model import ImageSpec
from translate.whole_file import sha256_of

FORMAT = 2
"""Since 2, the facts count how each domain was read on held-out images; older ones are trained again."""


def classifier_for(
    folder: Path,
    images: ImageSpec,
    settings: ClassifierSettings,
    data: Mapping[str, Any],
    train: Callable[[], Trained],
    engine: Engine,
) -> Trained:
    """The classifier kept in `folder`, or a newly trained one, which is then kept.

    The kept one is used only if it is of this format and was trained for these images, settings and `data`, which
    describes the images and labels it learns from in values JSON can hold. The classifier is on the engine's device.
    Raises TranslateError if the kept one is damaged or the new one cannot be written.
    """
    wanted = {"format": FORMAT, **_facts(images, settings, data)}
    if folder.is_dir():
        kept = load_classifier(folder)
        if {key: kept.facts.get(key) for key in wanted} == wanted:
            engine.adopt(kept.classifier)
            return kept
    return save_classifier(folder, train(), wanted)


def save_classifier(folder: Path, trained: Trained, facts: Mapping[str, Any]) -> Trained:
    """Writes a classifier under a temporary name and renames that to `folder`, replacing what was there.

    Returns it with the facts written, including `sha256`. Raises TranslateError if it cannot be saved.
    """
    working = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir(parents=True)
        state = {key: value.cpu().contiguous() for key, value in trained.classifier.network.state_dict().items()}
        save_file(state, working / "weights.safetensors")
        written = {**trained.facts, **facts, "sha256": sha256_of(working / "weights.safetensors")}
        (working / "facts.json").write_text(json_text(written, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(working, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(working, ignore_errors=True)
        raise TranslateError(f"{folder}: the classifier could not be saved ({error})") from error
    return replace(trained, facts=written)


def load_classifier(folder: Path) -> Trained:
    """Loads a classifier on the CPU, in evaluation mode. Raises TranslateError if a file is missing, damaged or of
    a later format."""
    try:
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        if facts["format"] > FORMAT:
            raise ValueError(f"its format is {facts['format']}; this version knows those up to {FORMAT}")
        if sha256_of(folder / "weights.safetensors") != facts["sha256"]:
            raise ValueError("weights.safetensors is not the file that was written")
        groups = tuple(LabelGroup(size, exclusive) for size, exclusive in facts["groups"])
        images = ImageSpec(facts["channels"], facts["size"], tuple(facts["domains"]), groups)
        classifier = Classifier(images, facts["settings"]["size"])
        classifier.network.load_state_dict(load_file(folder / "weights.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise TranslateError(
            f"{folder}: incomplete or damaged classifier ({error}); delete the folder to have it trained again"
        ) from error
    return Trained(classifier.eval().requires_grad_(False), facts)


def _facts(images: ImageSpec, settings: ClassifierSettings, data: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that must match for a classifier to be reused, as they come back from JSON."""
    facts = {
        "domains": images.domains,
        "groups": [(group.size, group.exclusive) for group in images.groups],
        "channels": images.channels,
        "size": images.size,
        "settings": settings.model_dump(),
        "data": dict(data),
    }
    return json.loads(json.dumps(facts))
