"""Keeps a network's description, which may be forged, from building far more than the weights that came with it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

_TIMES = 4
"""Weights may be registered more than once: spectral norm does so."""
_MOST_IN_BUFFERS = 1 << 31
"""Elements: image pools are buffers, and come with no weights."""


class TooLargeError(ValueError):
    """A description asks for a network that its weights cannot fill."""


@contextmanager
def no_larger_than(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Context in which building a network for these weights ends at the first layer too many.

    A layer registers its weights before it fills them, so what does not fit takes no memory. Raises TooLargeError, also
    where a layer is too large to be asked for.
    """
    tensors, numbers = _TIMES * len(weights) + 16, _TIMES * sum(value.numel() for value in weights.values())
    builder, left = threading.get_ident(), [tensors, numbers, _MOST_IN_BUFFERS]

    def learnt(module: nn.Module, name: str, weight: nn.Parameter | None) -> None:
        if weight is not None and threading.get_ident() == builder:
            left[0], left[1] = left[0] - 1, left[1] - weight.numel()
            require()

    def stored(module: nn.Module, name: str, buffer: Tensor | None) -> None:
        if buffer is not None and threading.get_ident() == builder:
            left[2] -= buffer.numel()
            require()

    def require() -> None:
        if min(left) < 0:
            raise TooLargeError(f"it describes a network far larger than its {len(weights)} weights")

    hooks = [register_module_parameter_registration_hook(learnt), register_module_buffer_registration_hook(stored)]
    try:
        yield
    except (RuntimeError, MemoryError, OverflowError) as error:  # no memory, or sizes beyond 64 bits
        raise TooLargeError(f"it describes a network too large to build: {str(error).splitlines()[0]}") from error
    finally:
        for hook in hooks:
            hook.remove()
