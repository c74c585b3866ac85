"""What the loop asks of a validation; `evaluation` has the measures."""

from __future__ import annotations

from typing import Any, Protocol

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
