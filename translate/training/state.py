"""The state of a training run between two steps, as named tensors: enough to continue as if it had never stopped.

Data order and all random numbers are pure functions of seed and step, so there is no random state to keep.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from translate.errors import TranslateError
from translate.losses.image_pool import ImagePool
from translate.models.base import Turn
from translate.networks.weights_file import not_finite
from translate.training.checkpoint import Checkpoint, rank_part
from translate.training.optim import moments, weights_of
from translate.training.trainer import Trainer

State = Mapping[str, Tensor]


def checkpoint_parts(trainer: Trainer) -> dict[str, State]:
    """The trainer's state, by part of a checkpoint: of all ranks on the main one. Every rank must call this."""
    trainer.share_losses()
    parts: dict[str, State] = {
        "model": network_weights(trainer),
        "average": trainer.average.values if trainer.average else {},
        "training": training_state(trainer),
    }
    for rank, state in enumerate(trainer.distributed.collect(own_state(trainer))[1:], start=1):
        parts[rank_part(rank)] = state
    return parts


def restore_checkpoint(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Restores what any number of processes saved. Raises TranslateError as `restore` does."""
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
    """All other changing state: image pools, optimizers, loss meters, the average's update count."""
    state = own_state(trainer)
    for name, optimizer in trainer.optimizers.items():
        for index, kept in optimizer.state_dict()["state"].items():
            for key, value in kept.items():
                state[f"optimizer/{name}/{index}/{key}"] = torch.as_tensor(value)
    for meter in trainer.meters:
        state |= meter.state()
    if trainer.average:
        state["average/updates"] = trainer.average.updates
    return state


def own_state(trainer: Trainer) -> dict[str, Tensor]:
    """The state that differs between ranks: image pools."""
    return {f"model/{key}": value for key, value in trainer.model.state_dict().items() if not _is_learnt(trainer, key)}


def restore(trainer: Trainer, step: int, weights: State, average: State, state: State) -> None:
    """Restores the trainer from `network_weights`, the average and `training_state`.

    Every tensor is checked before the first is put back. Raises TranslateError naming keys and what was expected, if
    keys, shapes or types belong to another model.
    """
    weights = {**weights, **_below("model/", state)}
    _require_fitting(trainer.model, weights)
    _require_restorable(trainer, step, average, state)
    _load(trainer.model, weights)
    for name, optimizer in trainer.optimizers.items():
        _restore_optimizer(optimizer, _below(f"optimizer/{name}/", state))
    for meter in trainer.meters:
        meter.restore(state)
    if trainer.average:
        trainer.average.updates.copy_(state["average/updates"])
        for key, value in trainer.average.values.items():
            value.copy_(average[key])
    trainer.steps = step


def load_weights(model: nn.Module, weights: State) -> None:
    """Loads every parameter. Raises TranslateError naming the first keys that are absent, unknown, of another shape or
    type, or not finite; the model is then unchanged."""
    _require_fitting(model, weights)
    _load(model, weights)


def _load(model: nn.Module, weights: State) -> None:
    # Other entries, e.g. an image pool, may keep their values.
    model.load_state_dict({**model.state_dict(), **weights})


def _require_fitting(model: nn.Module, weights: State) -> None:
    own = model.state_dict()
    absent = [name for name, _ in model.named_parameters() if name not in weights]
    if absent:
        raise TranslateError(f"the checkpoint was made by another model: it lacks {', '.join(absent[:6])}")
    if unknown := [name for name in weights if name not in own]:
        raise TranslateError(f"the checkpoint was made by another model: it has {', '.join(unknown[:6])}")
    if wrong := _unlike(weights, own):
        raise TranslateError("\n  ".join(["the checkpoint was made by another model:", *wrong[:6]]))
    if spoilt := not_finite(weights):
        raise TranslateError(f"{spoilt} is not finite: all its images would be black")


def _restore_optimizer(optimizer: Optimizer, state: State) -> None:
    kept: dict[int, dict[str, Tensor]] = {}
    weights = weights_of(optimizer)
    for path, value in state.items():
        index, key = path.split("/")
        weight = weights[int(index)]
        # A fused optimizer walks through weight and moments side by side in memory, so their strides must agree.
        if value.shape == weight.shape and value.dim():
            value = torch.empty_like(weight).copy_(value)
        kept.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})


def _is_learnt(trainer: Trainer, key: str) -> bool:
    return key.startswith(tuple(f"{name}." for name in trainer.optimizers))


def _below(prefix: str, state: State) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _require_restorable(trainer: Trainer, step: int, average: State, state: State) -> None:
    """Raises TranslateError unless the tensors saved after `step` are those of such a trainer: moments of another shape
    than their weight's would be read beyond their end."""
    wrong = [f"training.safetensors: {line}" for line in _wrong_state(trainer, step, state)]
    if trainer.average:
        wrong += [f"average.safetensors: {line}" for line in _wrong_entries(average, trainer.average.values)]
    if wrong:
        lines = "\n  ".join(wrong[:6])
        raise TranslateError(f"its state does not belong to these weights:\n  {lines}")


def _unlike(found: State, wanted: State) -> list[str]:
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
    return [*missing, *unknown, *_unlike(found, wanted)]


def _wrong_state(trainer: Trainer, step: int, state: State) -> Iterator[str]:
    moved = {id(network) for turn in trainer.model.turns() if _taken(turn, step, state) for network in turn.networks}
    for name, optimizer in trainer.optimizers.items():
        prefix = f"optimizer/{name}/"
        found = {key: value for key, value in state.items() if key.startswith(prefix)}
        if not found and id(trainer.model.get_submodule(name)) in moved:
            yield f"{prefix}...: missing, though {name} had been moved by step {step}"
        yield from _wrong_entries(found, _wanted_moments(prefix, optimizer, found))
    yield from _wrong_counts(trainer.model, state)
    yield from _unlike(state, {key: torch.zeros(()) for key in state if key.startswith(("sum/", "count/"))})
    yield from _unlike(state, {key: torch.zeros(2, dtype=torch.long) for key in state if key.startswith("skips/")})
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
    wanted: dict[str, Tensor] = {}
    for index, weight in enumerate(weights_of(optimizer)):
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
