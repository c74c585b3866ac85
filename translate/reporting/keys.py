"""The keys of metrics: `TURN/LOSS`, `validation/WHAT/MEASURE`, how people read them, and what version 0.1 called them.

A key is lower case, with underscores for spaces; "/" leads from a family to its members, such as the two domains in
`generators/cycle/a`. Only names that a user gave to domains or measures stand in it as they are, but for spaces.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

Value = TypeVar("Value")
VALIDATION = "validation/"
CAPTIONS = {
    "mean_iou": "mean IoU",
    "kl": "KL divergence",
    "kl_translated": "KL divergence of translations",
    "pair_accuracy": "own label scored above a wrong one",
    "wasserstein_estimate": "Wasserstein estimate",
    "jensen_shannon_estimate": "Jensen-Shannon estimate",
}
"""What people read for a part of a key, where that is not its words."""

_FORMER = {
    "labels read off real images": "label_accuracy/real",
    "labels read off generated images": "label_accuracy/generated",
    "digits read right": "label_accuracy/real",
    "labels told apart": "pair_accuracy",
    "classification by b": "classification/b",
    "classification of translations": "classification/translated",
    "kl of translation": "kl_translated",
    "jensen-shannon estimate": "jensen_shannon_estimate",
    **{
        name: name.replace(" ", "_")
        for name in (
            "adversarial", "gradient penalty", "r1", "r2", "cycle", "code cycle", "identity", "kl", "reconstruction",
            "perceptual", "semantic", "evidence lower bound", "log likelihood by 100 draws", "wasserstein estimate",
            "modes covered", "near a mode", "largest share",
        )
    },
}  # fmt: skip
_FORMER_FAMILIES = {"learning rate": "learning_rate", "skipped steps": "skipped_steps"}
# The longest first: a domain or a stage may follow the name.
_NAMED = re.compile(rf"({'|'.join(sorted(_FORMER, key=len, reverse=True))})(?: (.+))?")


def caption(key: str, unit: str = "") -> str:
    """The key in words, without the unit that is said beside it: `to_photo/l1` is "to photo l1"."""
    return " ".join(CAPTIONS.get(part, part.replace("_", " ")) for part in key.removesuffix(f"/{unit}").split("/"))


def short_captions(keys: Iterable[str]) -> list[str]:
    """The captions of losses without their turn, where no other turn has one of that name: `generators/cycle/a` is
    "cycle a"."""
    keys = list(keys)
    names = [key.partition("/")[2] for key in keys]
    alone = Counter(names)
    return [caption(name if name and alone[name] == 1 else key) for key, name in zip(keys, names, strict=True)]


def in_words(measured: Mapping[str, float]) -> str:
    """The first value, with its measure, and others in brackets: `l1 0.0312 (error HU 12.4)`."""
    first, *others = (f"{caption(key)} {value:.4g}" for key, value in measured.items())
    return f"{first} ({', '.join(others)})" if others else first


def best_in_words(facts: Mapping[str, Any]) -> str | None:
    """The best step that the facts of a checkpoint know of: `400 (l1 0.0312)`; None where they do not say."""
    if facts.get("best") is None:
        return None
    measured = {key: value for key, value in (facts.get("best_measured") or {}).items() if value is not None}
    return f"{facts['best']:,}{f' ({in_words(measured)})' if measured else ''}"


def rescheduled_in_words(changes: Sequence[Mapping[str, Any]]) -> str:
    """What a resumed run changed of its learning rates: `after step 400: lr 0.0002 -> 0.0001`; empty if nothing."""
    return "; ".join(
        f"after step {one['step']:,}: "
        + ", ".join(f"{key.removeprefix('training.')} {then} -> {now}" for key, (then, now) in one["changed"].items())
        for one in changes
    )


def validation_key(name: str, measure: str) -> str:
    """The key of a measure in the validation of this name, such as "to photo"."""
    return f"{VALIDATION}{'_'.join(name.replace('/', ' ').split())}/{measure}"


def validated(key: str) -> tuple[str, str]:
    """The validation's name, if there is one, and the measure, such as `error/HU`, of a `validation_key`."""
    name, slash, measure = key.removeprefix(VALIDATION).partition("/")
    return (name, measure) if slash else ("", name)


def is_validation(row: Mapping[str, object]) -> bool:
    """Whether a row of metrics.jsonl is that of a validation."""
    return any(key.startswith(VALIDATION) for key in row)


def current_name(name: str) -> str:
    """What a loss or a measure that version 0.1 may have named is called now; others stay what they are."""
    found = _NAMED.fullmatch(name)
    return "/".join([_FORMER[found[1]], *filter(None, [found[2]])]) if found else name


@lru_cache(1000)
def current_key(key: str) -> str:
    """What a key of metrics.jsonl is now: `validation to photo/l1` is `validation/to_photo/l1`."""
    if key.startswith("validation "):
        return _validated(*key.removeprefix("validation ").rpartition("/")[::2])
    family, slash, name = key.partition("/")
    return f"{_FORMER_FAMILIES.get(family, family)}{slash}{current_name(name)}"


def current_summary_key(key: str) -> str:
    """What a key of summary.json is now: `to photo, l1` is `validation/to_photo/l1`."""
    name, comma, measure = key.rpartition(", ")
    return _validated(name, measure) if comma and not key.startswith(VALIDATION) else key


def current_validations(validations: Mapping[str, Mapping[str, Value]]) -> dict[str, dict[str, Value]]:
    """The validations of a checkpoint, by name, with the measures as they are called now."""
    return {
        name: {current_name(measure): value for measure, value in found.items()} for name, found in validations.items()
    }


def _validated(name: str, measure: str) -> str:
    return validation_key(name, current_name(measure))
