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
from translate.training.distributed import Ranks
from translate.training.optim import WeightAverage, build_optimizer, learning_rate
from translate.training.runtime import Engine
from translate.training.trainer import Trainer


def build_trainer(
    model: Model, training: TrainingSettings, engine: Engine, total: int, ranks: Ranks | None = None
) -> Trainer:
    """Builds a trainer with one optimizer per network that some turn moves.

    If `training.ema` is set, the trainer also averages the weights of the networks that paint. Raises
    ConfigurationError for impossible settings: a rate for an unknown network, parts of a batch that are too small, or
    recomputed dropout in a step captured as CUDA graphs.
    """
    require_trainable(model, training, engine)
    engine.adopt(model)
    if ranks and ranks.size > 1:
        share_batch_statistics(model, ranks)
    model.train()
    # Training images all have the same size, so cuDNN can benchmark its algorithms on the first ones.
    torch.backends.cudnn.benchmark = engine.device.type == "cuda"
    networks = _networks(model, painting=False)
    optimizers = {
        name: build_optimizer(
            network,
            training.optimizer,
            training.network_lr.get(name, training.lr),
            training.betas,
            training.weight_decay,
            fused=engine.fused,
        )
        for name, network in networks.items()
    }
    painters = _networks(model, painting=True)
    average = WeightAverage(painters, training.ema) if training.ema else None
    engine.compile(painters.values())
    return Trainer(
        model,
        optimizers,
        engine,
        curve=learning_rate(training.schedule, total, training.decay_from, training.halve_every),
        seed=training.seed,
        accumulate=training.accumulate,
        average=average,
        ranks=ranks,
    )


def require_trainable(model: Model, training: TrainingSettings, engine: Engine) -> None:
    """Raises ConfigurationError for what `build_trainer` cannot take, and if weights that a loss needs are missing."""
    if engine.captured and any(map(_throws_dice_again, model.modules())):
        raise ConfigurationError(
            "model.generator.checkpointing repeats dropout, which a step recorded as CUDA graphs cannot: set "
            "model.generator.dropout to false or 0, or leave out captured from --engine"
        )
    model.require_batch(training.batch_size // training.accumulate)
    networks = _networks(model, painting=False)
    for name in training.network_lr:
        if name not in networks:
            raise ConfigurationError(f"training.network_lr: no network '{name}'{nearest(name, networks)}")


def _throws_dice_again(network: nn.Module) -> bool:
    checkpointing = isinstance(network, UNetGenerator | ResnetGenerator) and network.checkpointing
    return checkpointing and any(isinstance(layer, nn.Dropout) for layer in network.modules())


def share_batch_statistics(model: nn.Module, ranks: Ranks) -> None:
    """Makes batch normalisation treat the batches of all ranks as one."""
    for module in model.modules():
        if isinstance(module, BatchNorm2d):
            module.gather = ranks.gather


def _networks(model: Model, painting: bool) -> dict[str, nn.Module]:
    """Networks by name that some turn moves; with `painting`, only turns that paint count."""
    moved = {id(network) for turn in model.turns() if turn.paints or not painting for network in turn.networks}
    return {name: network for name, network in model.named_children() if id(network) in moved}
