"""What the loop asks of a validation, and of what is shown of films; `evaluation` has the measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from translate.training.runtime import Runtime


class Validation(Protocol):
    """Something to measure a model by during training, with baselines that need no model."""

    @property
    def name(self) -> str: ...

    @property
    def protocol(self) -> str:
        """What is measured on which data, in which units."""

    def measure(self, model: Any, runtime: Runtime) -> dict[str, float]: ...

    def baselines(self) -> dict[str, dict[str, float]]: ...


class Film(Protocol):
    """What a grid shows of clips, in place of a model's own columns."""

    @property
    def rows(self) -> Sequence[str]:
        """What each row is called."""

    def columns(self, model: Any, runtime: Runtime) -> dict[str, Tensor]:
        """Captions and images (rows, channels, height, width) in [-1, 1]."""
