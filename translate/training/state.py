"""The state of a training run between two steps, as named tensors: enough to continue as if it had never stopped.

Data order and all random numbers are pure functions of seed and step, so there is no random state to keep.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.errors import TranslateError
from translate.networks.weights_file import not_finite
from translate.training.checkpoint import Checkpoint, rank_part
from translate.training.state_check import require_restorable, unlike
from translate.training.trainer import Trainer


def checkpoint_parts(trainer: Trainer) -> dict[str, Mapping[str, Tensor]]:
    """The trainer's state, by part of a checkpoint. Every rank must call this; only the main one gets the parts of
    all."""
    trainer.share_losses()
    parts: dict[str, Mapping[str, Tensor]] = {
        "model": network_weights(trainer),
        "average": trainer.average.values if trainer.average else {},
        "training": training_state(trainer),
    }
    for rank, state in enumerate(trainer.distributed.collect(own_state(trainer))[1:], start=1):
        parts[rank_part(rank)] = state
    return parts


def restore_checkpoint(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Restores the trainer from `checkpoint`, saved by any number of processes. Raises TranslateError like
    `restore`."""
    own = rank_part(trainer.distributed.rank % checkpoint.facts["processes"])
    weights, average, state = (checkpoint.tensors(part) for part in ("model", "average", "training"))
    try:
        restore(trainer, checkpoint.step, weights, average, {**state, **checkpoint.tensors(own)})
    except TranslateError as error:
        raise TranslateError(f"{checkpoint.folder}: cannot be resumed: {error}") from error
    trainer.accumulate = max(trainer.accumulate, checkpoint.facts["accumulate"])


def network_weights(trainer: Trainer) -> dict[str, Tensor]:
    """The learnt weights: everything in the model that belongs to a network with an optimizer."""
    return {key: value for key, value in trainer.model.state_dict().items() if _is_learnt(trainer, key)}


def training_state(trainer: Trainer) -> dict[str, Tensor]:
    """All other changing state: image pools, optimizers, the loss meter of each turn, the average's update count."""
    state = own_state(trainer)
    for name, optimizer in trainer.optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            for key, value in moments.items():
                state[f"optimizer/{name}/{index}/{key}"] = torch.as_tensor(value)
    for loss_meter in trainer.loss_meters.values():
        state |= loss_meter.state()
    if trainer.average:
        state["average/updates"] = trainer.average.updates
    return state


def own_state(trainer: Trainer) -> dict[str, Tensor]:
    """State that each rank has separately: image pools. Everything else in `training_state` is the same on every
    rank."""
    return {f"model/{key}": value for key, value in trainer.model.state_dict().items() if not _is_learnt(trainer, key)}


def restore(
    trainer: Trainer,
    step: int,
    weights: dict[str, Tensor],
    average: dict[str, Tensor],
    state: dict[str, Tensor],
) -> None:
    """Restores the trainer from `network_weights`, the average and `training_state`.

    Every tensor is checked before the first is put back. Raises TranslateError naming keys and what was expected, if
    keys, shapes or types belong to another model.
    """
    _require_fitting(trainer.model, weights)
    require_restorable(trainer, step, average, state)
    load_weights(trainer.model, {**weights, **_below("model/", state)})
    for name, optimizer in trainer.optimizers.items():
        _restore_optimizer(optimizer, _below(f"optimizer/{name}/", state))
    for loss_meter in trainer.loss_meters.values():
        loss_meter.restore(state)
    if trainer.average:
        trainer.average.updates.copy_(state["average/updates"])
        for key, value in trainer.average.values.items():
            value.copy_(average[key])
    trainer.steps = step


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Loads every parameter. Raises TranslateError naming the first keys that are absent, unknown, of another shape or
    type, or not finite; the model is then unchanged."""
    _require_fitting(model, weights)
    # Other entries, e.g. an image pool, may keep their values.
    model.load_state_dict({**model.state_dict(), **weights})


def _require_fitting(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    own = model.state_dict()
    absent = [name for name, _ in model.named_parameters() if name not in weights]
    if absent:
        raise TranslateError(f"the checkpoint was made by another model: it lacks {', '.join(absent[:6])}")
    if unknown := [name for name in weights if name not in own]:
        raise TranslateError(f"the checkpoint was made by another model: it has {', '.join(unknown[:6])}")
    if wrong := unlike(weights, own):
        raise TranslateError("\n  ".join(["the checkpoint was made by another model:", *wrong[:6]]))
    if spoilt := not_finite(weights):
        raise TranslateError(f"{spoilt} is not finite: all its images would be black")


def _restore_optimizer(optimizer: Optimizer, state: Mapping[str, Tensor]) -> None:
    moments: dict[int, dict[str, Tensor]] = {}
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for path, value in state.items():
        index, key = path.split("/")
        weight = weights[int(index)]
        # A fused optimizer walks through weight and moments in parallel in memory, so their strides must agree.
        if value.shape == weight.shape and value.dim():
            value = torch.empty_like(weight).copy_(value)
        moments.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})


def _is_learnt(trainer: Trainer, key: str) -> bool:
    return key.startswith(tuple(f"{name}." for name in trainer.optimizers))


def _below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
