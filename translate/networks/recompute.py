"""Gradient checkpointing: recomputes activations in the backward pass instead of keeping them (Chen et al. 2016)."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from translate.networks.blocks import layers_of


def recomputed(part: nn.Module, features: Tensor) -> Tensor:
    """Computes `part(features)`, keeping only `features` for the backward pass; the gradients are the same.

    Dropout draws the same numbers again. That needs the random state, which cannot be read while CUDA graphs are
    recorded, so a part with dropout cannot be used in a step that is captured as CUDA graphs.
    """
    return checkpoint(
        part,
        features,
        use_reentrant=False,
        preserve_rng_state=bool(layers_of(part, nn.Dropout)),
        context_fn=lambda: (nullcontext(), _statistics_stand_still(part)),
    )


@contextmanager
def _statistics_stand_still(part: nn.Module) -> Iterator[None]:
    """Context in which batch norm updates copies of its running statistics, since the first pass has updated the real
    ones."""
    norms = layers_of(part, nn.BatchNorm2d)
    true = [(norm, name, buffer) for norm in norms for name, buffer in norm.named_buffers(recurse=False)]
    for norm, name, buffer in true:
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in true:
            setattr(norm, name, buffer)
