"""A folder as model hubs have them: model.safetensors, config.json and the model card, README.md."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from translate.errors import ConfigurationError, TranslateError, folded
from translate.inference.formats.source import Destination, Exported, Source, placed
from translate.inference.provenance import require_writable
from translate.training.checkpoint import Checkpoint
from translate.training.checkpoint_json import HubFacts, read_facts
from translate.utils.atomic_files import sha256_of
from translate.utils.sides import Sides
from translate.utils.stored import UnreadableError, json_text
from translate.utils.user_paths import folder_named

LIBRARY = "translate"
FILES = ("model.safetensors", "config.json", "README.md")

_CARD = """\
---
license: # yours to choose; the training images' licences may limit it
library_name: {library}
pipeline_tag: image-to-image
tags:
- {tag}
- image-to-image
---

# {name}

{summary}

Converts images of any size to {targets}{larger}.
Trained for {step:,} steps at {size} pixels, {channels} channels{data}.

```sh
pip install image-translate
translate convert FOLDER photos/ out/{to}
```

```python
import translate

converter = translate.load("FOLDER")
output = converter.convert({image}{python_to})  # a PIL image, an array or a tensor
```

FOLDER is this folder. `config.json` holds the recipe that it was trained with; loading it runs no code from here.
"""


def require(destination: Destination) -> None:
    """Raises ConfigurationError for a name that is no folder's, or a folder that cannot be written."""
    folder_named(destination.name, f"--format {destination.format}")
    require_writable(destination.path)


def export(source: Source, destination: Destination) -> Exported:
    """Writes `FILES`: the whole model, also if `source.to` names one of its targets.

    Raises ConfigurationError for files that may not be replaced, TranslateError if one cannot be written.
    """
    assert source.checkpoint is not None
    folder, checkpoint, targets = destination.path, source.checkpoint, source.converter.targets
    chosen = source.to and source.request
    paths = [folder / name for name in FILES]
    destination.require_free(paths, checkpoint.folder.iterdir())
    write_hub(folder, checkpoint.weights(), checkpoint.facts, targets)
    notes = [f"{folder / 'README.md'} leaves the licence to you"]
    if chosen and len(targets) > 1:
        notes.append(f"{folder} holds the whole model, for all of its targets: {folded(targets)}")
    return Exported(paths, notes=notes)


def write_hub(folder: Path, weights: Mapping[str, Tensor], facts: Mapping[str, Any], targets: list[str]) -> None:
    """Writes `FILES` into the folder, all or none, and leaves other files alone. `facts` are the checkpoint's.

    Raises TranslateError if one cannot be written.
    """
    facts = {**facts, "recipe": _without_paths(facts["recipe"])}
    tensors = save({key: value.contiguous() for key, value in weights.items()})
    digest = hashlib.sha256(tensors).hexdigest()
    config = {"library_name": LIBRARY, "model_type": facts["recipe"]["model"]["name"], **facts, "sha256": digest}
    texts = json_text(config, indent=2, ensure_ascii=False) + "\n", card(facts, targets)
    with ExitStack() as all_or_none:
        for name, content in zip(FILES, (tensors, *(text.encode() for text in texts)), strict=True):
            all_or_none.enter_context(placed(folder / name)).write_bytes(content)


def is_hub(folder: Path) -> bool:
    """Returns whether a folder may be one from a model hub; `read_hub` checks it."""
    return (folder / "config.json").exists()


def read_hub(folder: Path) -> Checkpoint:
    """Reads a hub folder as a checkpoint.

    Raises ConfigurationError for another library's folder or missing weights, TranslateError if the weights do not
    match the hash in config.json.
    """
    config = folder / "config.json"
    try:
        facts = read_facts(config, HubFacts)
    except UnreadableError as error:
        raise ConfigurationError(f"{config}: not one that `translate export` wrote ({error})") from error
    if facts["library_name"] != LIBRARY or "recipe" not in facts:
        raise ConfigurationError(f"{config}: not one that `translate export` wrote")
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ConfigurationError(f"{weights}: no such file; it lies beside config.json")
    if sha256_of(weights) != facts["sha256"]:
        raise TranslateError(f"{weights}: damaged (its SHA-256 is not the one in config.json)")
    return Checkpoint(folder, facts)


def card(facts: Mapping[str, Any], targets: list[str]) -> str:
    """The text of README.md: a YAML header for hubs, and instructions for using the model."""
    recipe, several = facts["recipe"], len(targets) > 1
    layers = [layer["name"] for kind in facts.get("each", ()) for layer in kind.get("layers", ())]
    sample = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: image" for name in layers)
    data = recipe["data"].get("set")
    times = max((kind.get("reduced", 1) for kind in facts.get("each", ())), default=1)
    return _CARD.format(
        library=LIBRARY,
        tag=recipe["model"]["name"],
        name=recipe["name"],
        summary=recipe.get("summary") or "An image-to-image translator.",
        targets=" or ".join(targets),
        larger=f", {times} times as high and wide" if times > 1 else "",
        step=facts["step"],
        size=Sides.of(facts["size"]).pixels,
        channels=facts["channels"],
        data=f", on {data}" if data else "",
        image=f"{{{sample}}}" if layers else "image",
        to=(f" --to {shlex.quote(targets[0])}" if several else "")
        + "".join(f" --with {shlex.quote(f'{name}={name}/')}" for name in layers[1:]),
        python_to=f", to={json.dumps(targets[0], ensure_ascii=False)}" if several else "",
    )


def _without_paths(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with data sets and runs by name only: their paths would reveal details of the training machine."""
    data, training = dict(recipe["data"]), dict(recipe["training"])
    data["set"] = Path(data["set"]).name if data.get("set") else None
    data["also"] = [Path(also).name for also in data.get("also", ())]
    if training.get("init_from"):
        training["init_from"] = Path(training["init_from"]).name
    return {**recipe, "data": data, "training": training}
