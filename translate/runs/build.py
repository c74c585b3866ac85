"""Builds a trainer from settings."""

from __future__ import annotations

import torch
from torch import nn

from translate.errors import ConfigurationError, nearest
from translate.models.base import Model
from translate.networks.blocks import BatchNorm2d
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

    If `training.ema` is set, the trainer also averages the generators' weights. Raises
    ConfigurationError for impossible settings: a rate for an unknown network, parts of a batch that are too small, or
    recomputed dropout in a step captured as CUDA graphs.
    """
    require_trainable(model, training, runtime)
    runtime.adopt(model)
    if distributed and distributed.size > 1:
        share_batch_statistics(model, distributed)
    model.train()
    # Training images all have the same size, so cuDNN can benchmark its algorithms on the first ones.
    torch.backends.cudnn.benchmark = runtime.device.type == "cuda"
    networks = _networks(model, generators=False)
    optimizers = {
        name: build_optimizer(
            network,
            training.optimizer,
            training.network_lr.get(name, training.lr),
            training.betas,
            training.weight_decay,
            fused=runtime.fused,
        )
        for name, network in networks.items()
    }
    generators = _networks(model, generators=True)
    average = WeightAverage(generators, training.ema) if training.ema else None
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
    networks = _networks(model, generators=False)
    for name in training.network_lr:
        if name not in networks:
            raise ConfigurationError(f"training.network_lr: no network '{name}'{nearest(name, networks)}")


def _repeats_dropout(network: nn.Module) -> bool:
    checkpointing = isinstance(network, UNetGenerator | ResnetGenerator) and network.checkpointing
    return checkpointing and any(isinstance(layer, nn.Dropout) for layer in network.modules())


def share_batch_statistics(model: nn.Module, distributed: Distributed) -> None:
    """Makes batch normalisation treat the batches of all ranks as one."""
    for module in model.modules():
        if isinstance(module, BatchNorm2d):
            module.gather = distributed.gather


def _networks(model: Model, generators: bool) -> dict[str, nn.Module]:
    """Networks by name that some turn moves; with `generators`, only turns that train generators count."""
    moved = {
        id(network) for turn in model.turns() if turn.trains_generators or not generators for network in turn.networks
    }
    return {name: network for name, network in model.named_children() if id(network) in moved}
