"""The models that are served: what each can do, and those that were used last, held in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from translate.errors import ConfigurationError, TranslateError, nearest
from translate.inference.converter import Converter
from translate.inference.options import ModelOptions
from translate.models.base import Request
from translate.runs.loading import load
from translate.serving.refusal import Refusal
from translate.training.checkpoint import pointed, saved_steps
from translate.utils.printing import say


@dataclass(frozen=True)
class Served:
    """A model by the `name` that requests know it by; `about`: what /api/models says of it, but for checkpoints."""

    name: str
    path: Path
    about: dict[str, Any]

    @property
    def checkpoints(self) -> dict[str, str]:
        """What can be named at this moment: `latest`, `best` if there is one, and steps; each with what it means."""
        folder = self.path / "checkpoints"
        if not folder.is_dir():
            return {"latest": "latest"}
        steps = {str(step): str(step) for step in reversed(saved_steps(folder))}
        named = {name: _pointed(folder, name) for name in ("latest", "best")}
        return {name: step for name, step in named.items() if step in steps} | steps


class Shelf:
    """Loads every model once, so that what cannot be served is known before anybody asks; keeps the `most` that were
    used last. Raises ConfigurationError and TranslateError as `load` does.

    `converter` is for one thread; the rest reads small files only.
    """

    def __init__(self, runs: Sequence[Path], options: ModelOptions, most: int) -> None:
        self._options, self._most = options, most
        self._held: OrderedDict[tuple[str, str], Converter] = OrderedDict()
        self.models: dict[str, Served] = {}
        for run in runs:
            options.refuse_for(run)
            served = Served(_name(run, self.models), run, {})
            converter = self.converter(served, self._step(served, options.checkpoint))
            self.models[served.name] = replace(served, about=_about(converter))

    @property
    def loaded(self) -> int:
        """How many are in memory."""
        return len(self._held)

    def described(self) -> list[dict[str, Any]]:
        """The models as /api/models lists them."""
        return [
            {
                "name": one.name,
                "checkpoints": list(one.checkpoints),
                "checkpoint": self._options.checkpoint,
                **one.about,
            }
            for one in self.models.values()
        ]

    def find(self, name: str, checkpoint: str) -> tuple[Served, str]:
        """The model of that name, or the first, and the step that the checkpoint means. Raises Refusal (422)."""
        if name and name not in self.models:
            raise Refusal(422, f"model: there is no '{name[:40]}'{nearest(name[:40], self.models)}")
        served = self.models[name or next(iter(self.models))]
        known, wanted = served.checkpoints, checkpoint or self._options.checkpoint
        if wanted not in known:
            raise Refusal(422, f"checkpoint: {served.name} has no '{wanted[:40]}'{nearest(wanted[:40], known)}")
        return served, known[wanted]

    def converter(self, served: Served, step: str) -> Converter:
        """The model with the weights of that step, from memory or from its file. Raises TranslateError."""
        key = served.name, step
        if key not in self._held:
            while len(self._held) >= self._most:
                self._held.popitem(last=False)
            self._held[key] = load(served.path, **{**vars(self._options), "checkpoint": step})
            self._held[key].log = say
        self._held.move_to_end(key)
        return self._held[key]

    def held(self, served: Served, step: str) -> Converter:
        """Like `converter`, for a request. Raises Refusal (503), without the path that the reason names."""
        try:
            return self.converter(served, step)
        except TranslateError as error:
            say(f"error: {error}")
            raise Refusal(503, f"{served.name} cannot be loaded at the moment; the server's output says why") from error

    def _step(self, served: Served, checkpoint: str) -> str:
        """What a checkpoint means, or the word itself, which `load` then refuses."""
        return served.checkpoints.get(checkpoint, checkpoint)


def _pointed(folder: Path, name: str) -> str:
    """The step that `latest` or `best` points to; empty if it points to none."""
    try:
        step = pointed(folder, name)
    except ConfigurationError:  # damaged; the steps are there all the same
        step = None
    return "" if step is None else str(step)


def _name(run: Path, taken: dict[str, Served]) -> str:
    """The folder's name; numbered if another has it."""
    name = run.absolute().name or "model"
    numbered = (f"{name}-{number}" for number in range(2, 10_000))
    return name if name not in taken else next(one for one in numbered if one not in taken)


def _about(converter: Converter) -> dict[str, Any]:
    model, images = converter.model, converter.images
    targets = [(number, Request.to(number)) for number in model.targets()]
    scales = {str(images.to_translate(request).scale or "") for _, request in targets}
    if not targets:
        raise ConfigurationError(f"{converter.origin}: the model translates to nothing")
    return {
        "to": [
            {
                "name": images.domains[number],
                "attribute": number in model.attributes,
                "takes": str(images.to_translate(request)),
                "gives": str(images.translated(request)),
            }
            for number, request in targets
        ],
        "trained": min(scales),
    }
