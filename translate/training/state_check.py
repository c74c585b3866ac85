"""Whether saved tensors belong to a trainer: all are checked before the first is put back.

An optimizer walks through a weight and its moments side by side in memory, so moments of another shape would be read
beyond their end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.errors import TranslateError
from translate.losses.image_pool import ImagePool
from translate.models.base import Turn
from translate.training.optim import moments
from translate.training.trainer import Trainer

State = Mapping[str, Tensor]
_SHOWN = 6
"""Most lines of a message."""


def require_restorable(trainer: Trainer, step: int, average: State, state: State) -> None:
    """Raises TranslateError, naming file, key and what was expected, unless `average` and the training `state`, saved
    after `step`, have the keys, shapes and types that the trainer's own have."""
    wrong = [f"training.safetensors: {line}" for line in _wrong_state(trainer, step, state)]
    if trainer.average:
        wrong += [f"average.safetensors: {line}" for line in _wrong_entries(average, trainer.average.values)]
    if wrong:
        lines = "\n  ".join(wrong[:_SHOWN])
        raise TranslateError(f"its state does not belong to these weights:\n  {lines}")


def unlike(found: State, wanted: State) -> list[str]:
    """One line for each tensor in both that has another shape or type than wanted."""
    return [
        f"{key}: expected {_kind(wanted[key])}, found {_kind(value)}"
        for key, value in found.items()
        if key in wanted and (value.shape, value.dtype) != (wanted[key].shape, wanted[key].dtype)
    ]


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _wrong_entries(found: State, wanted: State) -> list[str]:
    """Of entries that must all be there, and no others."""
    missing = [f"{key}: missing; expected {_kind(value)}" for key, value in wanted.items() if key not in found]
    unknown = [f"{key}: unknown" for key in found if key not in wanted]
    return [*missing, *unknown, *unlike(found, wanted)]


def _wrong_state(trainer: Trainer, step: int, state: State) -> Iterator[str]:
    moved = {id(network) for turn in trainer.model.turns() if _taken(turn, step, state) for network in turn.networks}
    for name, optimizer in trainer.optimizers.items():
        prefix = f"optimizer/{name}/"
        found = {key: value for key, value in state.items() if key.startswith(prefix)}
        if not found and id(trainer.model.get_submodule(name)) in moved:
            yield f"{prefix}...: missing, though {name} had been moved by step {step}"
        yield from _wrong_entries(found, _wanted_moments(prefix, optimizer, found))
    yield from unlike(state, {f"model/{key}": value for key, value in trainer.model.state_dict().items()})
    yield from _wrong_counts(trainer.model, state)
    yield from unlike(state, {key: torch.zeros(()) for key in state if key.startswith(("sum/", "count/"))})
    yield from unlike(state, {key: torch.zeros(2, dtype=torch.long) for key in state if key.startswith("skips/")})
    pairs = [f"count{key.removeprefix('sum')}" for key in state if key.startswith("sum/")]
    yield from (f"{key}: missing" for key in pairs if key not in state)
    if trainer.average:
        update = {key: value for key, value in state.items() if key == "average/updates"}
        yield from _wrong_entries(update, {"average/updates": trainer.average.updates})


def _taken(turn: Turn, step: int, state: State) -> bool:
    """Whether the turn had moved its networks by then, and had not been skipped each time."""
    skips = state.get(f"skips/{turn.name}", torch.zeros(2))
    return step // turn.every > float(skips.flatten()[:1].sum())


def _wanted_moments(prefix: str, optimizer: Optimizer, found: State) -> dict[str, Tensor]:
    """All entries of each weight of which some are found: a weight that never had a gradient has none."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    wanted: dict[str, Tensor] = {}
    for index, weight in enumerate(weights):
        begin = f"{prefix}{index}/"
        if any(key.startswith(begin) for key in found):
            wanted |= {begin + key: weight for key in moments(optimizer)} | {f"{begin}step": torch.zeros(())}
    return wanted


def _wrong_counts(model: nn.Module, state: State) -> Iterator[str]:
    """Of image pools, whose count says where the next image is stored."""
    for name, pool in model.named_modules():
        stored = state.get(f"model/{name}.stored")
        if isinstance(pool, ImagePool) and stored is not None and not 0 <= int(stored.max()) <= len(pool.images):
            yield f"model/{name}.stored: expected 0 to {len(pool.images)}, found {int(stored.max())}"
