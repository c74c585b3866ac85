"""Finds what usually goes wrong in training, in the fixed samples and the logged losses.

Each kind of finding is reported once per run, and written to doctor.jsonl, which report.html shows.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from translate.data.batch import Batch
from translate.data.domain import Domain
from translate.data.planes import as_images_of
from translate.models.adversary import Adversary
from translate.models.base import Model, Relabeller, Translator
from translate.reporting.keys import caption
from translate.utils.atomic_files import write_atomic
from translate.utils.printing import Log
from translate.utils.stored import json_text, lines_of, parse_json

FIRST = 500
"""Steps before the first finding: at first, generators produce outputs that are grey, alike, or equal to the input."""
CHANGE = 0.01
"""Mean |output - input| on the 0-1 scale below which an image counts as unchanged: 2.5 grey levels are invisible."""
INVERTED = -0.5
"""Correlation of output and input pixels at which colours count as inverted: -1 for a photo negative, near 0 for
unrelated images."""
ALIKE = 0.05
"""Spread of the outputs relative to that of the real images: about 1 if the translator follows its input, 0 if it
returns one image for all."""
BLIND = 0.1
"""Difference of outputs for different labels, relative to the largest difference of any of them from the input."""
SURE = 0.02
"""The discriminator's loss relative to its value at chance, where real and generated images score alike."""
WINDOWS = 3
"""Consecutive logged values for which the discriminator must have been sure; a single one could be chance."""


@dataclass(frozen=True)
class Finding:
    """A problem: its kind, the step it was found at, the measure that shows it, and the remedy."""

    kind: str
    step: int
    measure: str
    value: float | None
    """None where it was not finite."""
    remedy: str

    def __str__(self) -> str:
        value = "not finite" if self.value is None else f"{self.value:.3g}"
        return f"{self.kind} ({self.measure}: {value}, at step {self.step}). {self.remedy}"


class Diagnostics:
    """Watches `model` from the outside. `samples` is a batch on the device, in [-1, 1]; `kinds`: what the images of
    each domain are, where a sample may have several.

    `folder` holds doctor.jsonl, whose findings after `step` are dropped; None for processes that write nothing.
    """

    def __init__(
        self,
        model: Model,
        samples: Batch,
        folder: Path | None,
        step: int,
        log: Log,
        kinds: Sequence[Domain] = (),
    ) -> None:
        self.model, self.samples, self.log, self._kinds = model, samples, log, kinds
        self.path = folder / "doctor.jsonl" if folder else None
        self.found = [finding for finding in read_findings(self.path) if finding.step <= step] if self.path else []
        self._games = _games(model)
        self._logged: deque[Mapping[str, float]] = deque(maxlen=WINDOWS)

    def examine(self, step: int) -> None:
        """Translates the samples and notes what is wrong. Raises only what the model raises."""
        if step >= FIRST and isinstance(self.model, Translator):
            self._note(_findings(self.model, self.samples, self._kinds, step))

    def recall(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Takes the rows that were logged before the run was resumed."""
        self._logged.extend(row for row in rows if any(discriminator in row for discriminator, _, _ in self._games))

    def follow(self, step: int, losses: Mapping[str, float]) -> None:
        """Takes the logged losses, keyed `turn/name`, and notes whether the discriminator has won."""
        self._logged.append(losses)
        if step < FIRST or len(self._logged) < WINDOWS:
            return
        for discriminator, generator, unsure in self._games:
            sure = [row[discriminator] / unsure for row in self._logged if discriminator in row and generator in row]
            if len(sure) < WINDOWS or max(sure) >= SURE or self._logged[-1][generator] < self._logged[0][generator]:
                continue
            self._note([_won(step, discriminator, sure[-1])])

    def _note(self, findings: Sequence[Finding]) -> None:
        known = {finding.kind for finding in self.found}
        fresh = [finding for finding in findings if finding.kind not in known]
        if not fresh:
            return
        self.found += fresh
        if self.path:
            write_atomic(self.path, "".join(json_text(asdict(finding)) + "\n" for finding in self.found))
        for finding in fresh:
            self.log(f"warning: {finding}")


def read_findings(path: Path) -> list[Finding]:
    """The findings in doctor.jsonl; empty if the file does not exist. Raises UnreadableError."""
    if not path.exists():
        return []
    return [parse_json(line, Finding, f"{path}, line {number}") for number, line in lines_of(path)]


@dataclass(frozen=True)
class _View:
    """Inputs, outputs and real images of the target domain, all (batch, channels, height, width) in [-1, 1]; if
    `paired`, the true translations of the inputs. `before`: what an output may equal; of several images a sample, the
    one that is like the target."""

    inputs: Tensor
    outputs: Tensor
    reals: Tensor
    paired: bool
    before: Tensor | None

    @property
    def comparable(self) -> Tensor | None:
        """`before`, if outputs have its shape: grey and RGB have not."""
        return self.before if self.before is not None and self.before.shape == self.outputs.shape else None


def _findings(model: Translator, samples: Batch, kinds: Sequence[Domain], step: int) -> list[Finding]:
    views = _views(model, samples, kinds)
    found = [finding for view in views if (finding := _of_one(view, step)) is not None]
    if samples.labelled() and sum(finding.kind == _COPY for finding in found) < len(views):
        found = [finding for finding in found if finding.kind != _COPY]  # some images may already be of that domain
    if isinstance(model, Relabeller) and len(views) > 1 and not any(one.kind in (_COPY, _ONE) for one in found):
        found += _of_labels(views, step)
    return found


def _views(model: Translator, samples: Batch, kinds: Sequence[Domain]) -> list[_View]:
    """One view for each domain the model converts to."""
    if samples.labelled() and not samples.labels_are_domains():
        return []  # what has labels on one side only is measured by its classes
    views = []
    for to in model.targets():
        inputs, reals = samples.towards(to)
        given = kinds[1 - to] if len(kinds) == 2 else None
        planes = given is not None and (given.layers or given.numbered)  # of which as many as channels mean nothing
        before = as_images_of(inputs, given, kinds[to]) if given and planes else inputs
        views.append(_View(inputs, model.convert(inputs, to), reals, samples.pairs, before))
    return views


_COPY = "the output equals the input"
_ONE = "one image comes out for all inputs"


def _of_one(view: _View, step: int) -> Finding | None:
    """The most obvious problem of one direction: a copy is not also checked for collapse or inversion."""
    before = view.comparable
    change = _distance(view.outputs, before) if before is not None else math.inf
    # A paired task may require almost no change.
    if before is not None and change < CHANGE and not (view.paired and _distance(view.reals, before) < 2 * CHANGE):
        return Finding(
            _COPY,
            step,
            "mean |output - input| on the 0-1 scale",
            change,
            "Lower the weights that keep it there (model.cycle, model.identity, model.reconstruction "
            "or model.content_weight, as the method has them), and check with "
            "`translate data check FOLDER` that the two domains differ",
        )
    if (wanted := min(_spread(view.inputs), _spread(view.reals))) and _spread(view.outputs) < ALIKE * wanted:
        return Finding(
            _ONE,
            step,
            "spread of outputs as a share of that of real images",
            _spread(view.outputs) / wanted,
            "The generator has collapsed: start again with another training.seed, a lower training.lr for the "
            "discriminator (training.network_lr), or a higher weight of the loss that ties output to input",
        )
    correlation = 0.0 if before is None else _correlation(view.outputs, before)
    needed = view.paired and before is not None and _correlation(view.reals, before) < INVERTED / 2
    if correlation < INVERTED and not needed:
        return Finding(
            "the colours are inverted",
            step,
            "correlation of output and input pixels",
            correlation,
            "This rarely goes away: start again with another training.seed; for CycleGAN model.identity=0.5 "
            "prevents it",
        )
    return None


def _of_labels(views: Sequence[_View], step: int) -> list[Finding]:
    outputs = torch.stack([view.outputs for view in views])
    changed = max(_distance(view.outputs, view.inputs) for view in views)
    differing = max(_distance(output, outputs[0]) for output in outputs[1:])
    if differing >= BLIND * changed:
        return []
    return [
        Finding(
            "the labels are ignored",
            step,
            "difference of outputs for different labels as a share of their difference from the input",
            differing / changed,
            "Raise model.classification, check the labels with `translate data check FOLDER`, or balance the classes "
            "(data.balanced=true)",
        )
    ]


def _won(step: int, discriminator: str, share: float) -> Finding:
    return Finding(
        "the discriminator has won",
        step,
        f"{caption(discriminator)} as a share of its value at chance",
        share,
        "The generator no longer learns from it: lower its learning rate (training.network_lr), add a penalty "
        "(model.adversarial.r1 or gradient_penalty) or, for few images, model.adversarial.augment",
    )


def _games(model: Model) -> list[tuple[str, str, float]]:
    """Each discriminator's loss, its generator's, and the value of the former at chance; empty if there is none."""
    adversary = next((module for module in model.modules() if isinstance(module, Adversary)), None)
    if adversary is None or adversary.unsure is None:
        return []
    discriminators = [turn.name for turn in model.turns() if not turn.trains_generators]
    generators = [turn.name for turn in model.turns() if turn.trains_generators]
    names = ("adversarial", "adversarial/a", "adversarial/b", "adversarial/one", "adversarial/two")
    return [
        (f"{discriminator}/{name}", f"{generator}/{name}", adversary.unsure)
        for discriminator in discriminators
        for generator in generators
        for name in names
    ]


def _distance(images: Tensor, others: Tensor) -> float:
    """Mean absolute difference on the 0-1 scale."""
    return float((images.float() - others.float()).abs().mean()) / 2


def _spread(images: Tensor) -> float:
    """Mean distance between neighbouring images in the batch; 0 for a single image."""
    return _distance(images[1:], images[:-1]) if len(images) > 1 else 0.0


def _correlation(images: Tensor, others: Tensor) -> float:
    """Pearson correlation over the pixels of each image and channel, averaged."""
    one, two = (values.float() - values.float().mean((2, 3), keepdim=True) for values in (images, others))
    product = (one * two).mean((2, 3))
    scale = (one.square().mean((2, 3)) * two.square().mean((2, 3))).sqrt()
    return float((product / scale.clamp(min=1e-6)).mean())
