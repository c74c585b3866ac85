"""A sweep as Weights & Biases writes it down: a file of settings to try, read strictly, and the points it asks for.

What is theirs alone (entity, early_terminate, ...) may stand in it; what a sweep here cannot do is refused by name.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import Field, ValidationError, model_validator

from translate.errors import ConfigurationError, nearest
from translate.utils.settings import Settings
from translate.utils.stored import UnreadableError, read_text
from translate.utils.yaml_reader import MAX_BYTES, read_yaml

Point = dict[str, Any]
"""A value for each setting, by its dotted key."""
COMMAND = 'command: ["${env}", translate, train, RECIPE, --data, DATA, "${args_no_hyphens}"]'
_NUMBERS = ("min", "max", "q", "mu", "sigma")


class Metric(Settings):
    """What is best."""

    name: str
    goal: Literal["minimize", "maximize"] = "minimize"
    target: float | None = None
    """Theirs: where they stop."""


class Parameter(Settings):
    """The values of one setting: one, some, or a distribution."""

    value: Any = None
    values: tuple[Any, ...] | None = Field(None, min_length=1)
    probabilities: tuple[float, ...] | None = None
    distribution: str | None = None
    min: int | float | None = None
    max: int | float | None = None
    q: float = Field(1.0, gt=0)
    mu: float = 0.0
    sigma: float = Field(1.0, ge=0)

    @model_validator(mode="after")
    def _whole(self) -> Parameter:
        kind = DISTRIBUTIONS.get(self.kind)
        if kind is None:
            raise ValueError(f"no distribution '{self.kind}' here{nearest(self.kind, DISTRIBUTIONS)}")
        given = self.model_fields_set - {"distribution"}
        if lacking := sorted(kind.needs - given):
            raise ValueError(f"{self.kind} needs {' and '.join(lacking)}")
        if idle := sorted(given - kind.needs - kind.takes):
            raise ValueError(f"{self.kind} takes no {' and no '.join(idle)}; leave it out")
        if "min" in kind.needs and not self.ends[0] < self.ends[1]:
            raise ValueError("min must be less than max")
        if self.kind == "int_uniform" and not all(end.is_integer() for end in self.ends):
            raise ValueError("int_uniform needs whole numbers")
        if self.kind.endswith("_values") and self.ends[0] <= 0:
            raise ValueError(f"{self.kind} needs a min above 0")
        if self.probabilities and (len(self.probabilities) != len(self.values or ()) or sum(self.probabilities) <= 0):
            raise ValueError("probabilities are one for each of the values")
        return self

    @property
    def kind(self) -> str:
        """The distribution: as it is called, or as the other keys say."""
        if self.distribution is not None:
            return self.distribution
        if self.values is not None:
            return "categorical_w_probabilities" if self.probabilities else "categorical"
        if "min" in self.model_fields_set or "max" in self.model_fields_set:
            return "int_uniform" if isinstance(self.min, int) and isinstance(self.max, int) else "uniform"
        return "constant"

    @property
    def ends(self) -> tuple[float, float]:
        return float(self.min or 0), float(self.max or 0)

    @property
    def choices(self) -> list[Any] | None:
        """All values, in order; None where they cannot be counted."""
        if self.kind == "constant":
            return [self.value]
        if self.kind == "int_uniform":
            return list(range(int(self.ends[0]), int(self.ends[1]) + 1))
        return list(self.values or ()) if self.kind == "categorical" else None

    def draw(self, rng: np.random.Generator) -> Any:
        return DISTRIBUTIONS[self.kind].draw(self, rng)


class Kind(Settings):
    """A distribution: the keys that it needs and takes, and how a value is drawn."""

    needs: frozenset[str]
    takes: frozenset[str] = frozenset()
    draw: Callable[[Any, np.random.Generator], Any]


def _uniform(one: Parameter, rng: np.random.Generator) -> float:
    return float(rng.uniform(*one.ends))


def _log_uniform(one: Parameter, rng: np.random.Generator) -> float:
    return math.exp(_uniform(one, rng))


def _log_uniform_values(one: Parameter, rng: np.random.Generator) -> float:
    low, high = map(math.log, one.ends)
    return min(max(math.exp(rng.uniform(low, high)), one.ends[0]), one.ends[1])


def _normal(one: Parameter, rng: np.random.Generator) -> float:
    return float(rng.normal(one.mu, one.sigma))


def _log_normal(one: Parameter, rng: np.random.Generator) -> float:
    return math.exp(_normal(one, rng))


def _chosen(one: Parameter, rng: np.random.Generator) -> Any:
    values = one.choices or list(one.values or ())
    shares = np.array(one.probabilities or [1.0] * len(values))
    return values[int(rng.choice(len(values), p=shares / shares.sum()))]


def _in_steps(draw: Callable[[Any, np.random.Generator], float]) -> Callable[[Any, np.random.Generator], float]:
    """The same in multiples of q."""
    return lambda one, rng: round(draw(one, rng) / one.q) * one.q


_SPAN, _BELL, _STEPS = frozenset({"min", "max"}), frozenset({"mu", "sigma"}), frozenset({"q"})
DISTRIBUTIONS: dict[str, Kind] = {
    "constant": Kind(needs=frozenset({"value"}), draw=lambda one, rng: one.value),
    "categorical": Kind(needs=frozenset({"values"}), draw=_chosen),
    "categorical_w_probabilities": Kind(needs=frozenset({"values", "probabilities"}), draw=_chosen),
    "int_uniform": Kind(needs=_SPAN, draw=_chosen),
    "uniform": Kind(needs=_SPAN, draw=_uniform),
    "q_uniform": Kind(needs=_SPAN, takes=_STEPS, draw=_in_steps(_uniform)),
    "log_uniform": Kind(needs=_SPAN, draw=_log_uniform),
    "log_uniform_values": Kind(needs=_SPAN, draw=_log_uniform_values),
    "q_log_uniform_values": Kind(needs=_SPAN, takes=_STEPS, draw=_in_steps(_log_uniform_values)),
    "normal": Kind(needs=frozenset(), takes=_BELL, draw=_normal),
    "q_normal": Kind(needs=frozenset(), takes=_BELL | _STEPS, draw=_in_steps(_normal)),
    "log_normal": Kind(needs=frozenset(), takes=_BELL, draw=_log_normal),
}
"""Those of Weights & Biases that are drawn from here, by name; of log_uniform the ends are exponents of e, as there."""


class Sweep(Settings):
    """A file of theirs. `run_cap` limits the number of runs; a random search has no other end."""

    method: Literal["grid", "random"]
    parameters: dict[str, Parameter] = Field(min_length=1)
    metric: Metric | None = None
    command: tuple[Any, ...] = ()
    run_cap: int | None = Field(None, ge=1)
    program: Any = None
    name: Any = None
    description: Any = None
    project: Any = None
    entity: Any = None
    early_terminate: Any = None

    @property
    def idle(self) -> list[str]:
        """The keys by which their server ends runs early, which here have no effect."""
        target = self.metric.target if self.metric else None
        return [key for key, said in (("early_terminate", self.early_terminate), ("metric.target", target)) if said]

    @model_validator(mode="after")
    def _countable(self) -> Sweep:
        endless = [key for key, one in self.parameters.items() if one.choices is None]
        if self.method == "grid" and endless:
            raise ValueError(f"a grid needs values for {endless[0]}; list them, or set method: random")
        return self

    def points(self, count: int | None = None, seed: int = 0) -> list[Point]:
        """The first `count` points (by default `run_cap`, or all of a grid). Of a random search, point i follows from
        the seed and i alone. Raises ConfigurationError for a random search without end."""
        most = count or self.run_cap
        if self.method == "grid":
            every = itertools.product(*(one.choices or () for one in self.parameters.values()))
            return [dict(zip(self.parameters, values, strict=True)) for values in itertools.islice(every, most)]
        if most is None:
            raise ConfigurationError("a random search has no end: set run_cap in the file, or give --runs N")
        each = [np.random.default_rng((seed, number)) for number in range(most)]
        return [{key: one.draw(rng) for key, one in self.parameters.items()} for rng in each]

    def words(self, path: Path) -> list[str]:
        """What `command` says behind `translate train`, but for the point. Raises ConfigurationError if it says
        something else."""
        words = [str(word) for word in self.command]
        begins = next((at for at in range(len(words) - 1) if words[at : at + 2] == ["translate", "train"]), None)
        if begins is None or "${args_no_hyphens}" not in words:
            raise ConfigurationError(f"{path}: command: expected what each run is begun with, as\n{COMMAND}")
        found = [word for word in words[begins + 2 :] if word != "${args_no_hyphens}"]
        if macros := [word for word in found if word.startswith("${")]:
            raise ConfigurationError(f"{path}: command: {macros[0]} cannot be filled in here; leave it out")
        return found


def overrides(point: Point) -> list[str]:
    """The point as KEY=VALUE."""
    return [f"{key}={json.dumps(value)}" for key, value in point.items()]


def read_sweep(path: Path) -> Sweep:
    """Raises ConfigurationError that names the line and what is wrong there."""
    try:
        text = read_text(path, MAX_BYTES)
        values, lines = read_yaml(text, str(path))
    except UnreadableError as error:
        raise ConfigurationError(f"{error}; expected a sweep") from error
    _refuse_foreign(path, values)
    _refuse_words_for_numbers(path, text)
    try:
        return Sweep.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise ConfigurationError("\n".join(_explained(path, lines, mistake) for mistake in error.errors())) from error


def _explained(path: Path, lines: Mapping[tuple[str | int, ...], int], mistake: Any) -> str:
    place = next(
        (mistake["loc"][:end] for end in range(len(mistake["loc"]), 0, -1) if mistake["loc"][:end] in lines), ()
    )
    where = f"{path}: line {lines[place]}" if place else str(path)
    if mistake["type"] == "extra_forbidden":
        return f"{where}: unknown key '{mistake['loc'][-1]}'"
    message = mistake["msg"].removeprefix("Value error, ")
    return f"{where}: '{'.'.join(map(str, place))}': {message[0].lower()}{message[1:]}"


def _refuse_foreign(path: Path, values: Mapping[str, Any]) -> None:
    """What their server can do, and a sweep here cannot."""
    if values.get("method") == "bayes":
        raise ConfigurationError(
            f"{path}: method: bayes is searched by the server of Weights & Biases; set method: random, or run the file "
            "with `wandb sweep` and `wandb agent`"
        )
    parameters = values.get("parameters")
    nested = (
        [key for key, one in parameters.items() if isinstance(one, dict) and "parameters" in one]
        if isinstance(parameters, dict)
        else []
    )
    if nested:
        raise ConfigurationError(f"{path}: parameters: {nested[0]} is nested; write its settings as {nested[0]}.KEY")


def _refuse_words_for_numbers(path: Path, text: str) -> None:
    """Their reader takes 1e-4 for a word, and refuses it as an end of a distribution."""
    parameters = (yaml.safe_load(text) or {}).get("parameters")
    for key, one in parameters.items() if isinstance(parameters, dict) else ():
        for name in _NUMBERS if isinstance(one, dict) else ():
            if isinstance(one.get(name), str):
                raise ConfigurationError(
                    f"{path}: parameters: {key}: Weights & Biases reads '{one[name]}' as a word; write it as "
                    "0.0001 or 1.0e-4"
                )
