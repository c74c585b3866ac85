"""Builds a trainer from settings."""

from __future__ import annotations

import torch
from torch import nn

from translate.errors import ConfigurationError, nearest
from translate.models.base import Model
from translate.networks.resnet import ResnetGenerator
from translate.networks.unet import UNetGenerator
from translate.recipe import TrainingSettings
from translate.training.distributed import Distributed
from translate.training.optim import WeightAverage, build_optimizer
from translate.training.runtime import Runtime
from translate.training.trainer import Trainer


def build_trainer(
    model: Model, training: TrainingSettings, runtime: Runtime, total: int, distributed: Distributed | None = None
) -> Trainer:
    """Builds a trainer with one optimizer per network that some turn moves.

    The trainer also averages the weights of generators that have a decay (`ema`). Raises ConfigurationError for
    impossible settings: those of an unknown network, parts of a batch that are too small, or recomputed dropout in a
    step captured as CUDA graphs.
    """
    require_trainable(model, training, runtime)
    runtime.adopt(model)
    if distributed and distributed.size > 1:
        share_batch_statistics(model, distributed)
    model.train()
    # Training images all have the same size, so cuDNN can benchmark its algorithms on the first ones.
    torch.backends.cudnn.benchmark = runtime.device.type == "cuda"
    optimizers = {}
    for name, network in _networks(model, generators=False).items():
        own = training.of(name)
        rule = own.optimizer, own.lr, own.betas, own.weight_decay, own.clip
        optimizers[name] = build_optimizer(network, *rule, fused=runtime.fused)
    generators = _networks(model, generators=True)
    decays = {name: decay for name in generators if (decay := training.of(name).ema)}
    average = WeightAverage({name: generators[name] for name in decays}, decays) if decays else None
    runtime.compile(generators.values())
    return Trainer(
        model,
        optimizers,
        runtime,
        curve=training.curve(total),
        seed=training.seed,
        accumulate=training.accumulate,
        average=average,
        distributed=distributed,
    )


def require_trainable(model: Model, training: TrainingSettings, runtime: Runtime) -> None:
    """Raises ConfigurationError for what `build_trainer` cannot take, and if weights that a loss needs are missing."""
    if runtime.cuda_graphs and any(map(_repeats_dropout, model.modules())):
        raise ConfigurationError(
            "model.generator.checkpointing repeats dropout, which a step recorded as CUDA graphs cannot: set "
            "model.generator.dropout to false or 0, or leave out cuda-graphs from --runtime"
        )
    model.require_batch(training.batch_size // training.accumulate)
    networks, generators = (_networks(model, generators=only) for only in (False, True))
    for name in training.network_lr:
        if name not in networks:
            raise ConfigurationError(f"training.network_lr: no network '{name}'{nearest(name, networks)}")
    for name, own in training.networks.items():
        if name not in networks:
            raise ConfigurationError(f"training.networks: no network '{name}'{nearest(name, networks)}")
        if own.ema and name not in generators:
            raise ConfigurationError(
                f"training.networks.{name}.ema: only generators are averaged ({', '.join(generators)}); leave it out"
            )


def _repeats_dropout(network: nn.Module) -> bool:
    checkpointing = isinstance(network, UNetGenerator | ResnetGenerator) and network.checkpointing
    return checkpointing and any(isinstance(layer, nn.Dropout) for layer in network.modules())


def share_batch_statistics(model: nn.Module, distributed: Distributed) -> None:
    """Makes batch normalisation, and OASIS's balance of classes, treat the batches of all ranks as one."""
    for module in model.modules():
        if hasattr(module, "gather"):
            module.gather = distributed.gather  # type: ignore[assignment]


def _networks(model: Model, generators: bool) -> dict[str, nn.Module]:
    """Networks by name that some turn moves; with `generators`, only those that translations are made with."""
    moved = {
        id(network) for turn in model.turns() if turn.trains_generators or not generators for network in turn.networks
    }
    left_out = model.only_for_losses if generators else frozenset()
    named = ((name, network) for name, network in model.named_children() if name not in left_out)
    return {name: network for name, network in named if id(network) in moved}
