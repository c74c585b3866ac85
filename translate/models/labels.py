"""Label vectors of domains: planes for a generator, a loss for a classifier, and changes a user asks for."""

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.data.batch import Batch
from translate.data.labels import UNKNOWN
from translate.errors import ConfigurationError
from translate.models.base import ImageSpec, Request


def one_hot(numbers: Tensor, classes: int) -> Tensor:
    """One-hot labels, bool (batch, classes). Unlike F.one_hot, it does not make the host wait to check the numbers."""
    return numbers[:, None] == torch.arange(classes, device=numbers.device)


class Labels:
    """The label groups of a model's domains. Labels are (batch, domains): 1 yes, 0 no, -1 unknown."""

    def __init__(self, images: ImageSpec) -> None:
        self._spans: list[tuple[slice, bool]] = []
        start = 0
        for group in images.groups:
            self._spans.append((slice(start, start + group.size), group.exclusive))
            start += group.size
        self._alternatives = [set(numbers) for numbers in images.alternatives]
        self._alternatives += [set(range(span.start, span.stop)) for span, exclusive in self._spans if exclusive]

    @property
    def width(self) -> int:
        """The width of `planes`."""
        domains: int = sum(span.stop - span.start for span, _ in self._spans)
        return domains + (len(self._spans) if len(self._spans) > 1 else 0)

    @property
    def attributes(self) -> list[int]:
        """The domains of groups that are not exclusive."""
        return [number for span, exclusive in self._spans if not exclusive for number in range(span.start, span.stop)]

    def planes(self, labels: Tensor) -> Tensor:
        """Labels as the generator takes them, (batch, width): unknown labels are 0, and, if several sets are trained
        jointly, a mask for each says whether it is known (section 3.3)."""
        masks = [(labels[:, span] >= 0).any(1) for span, _ in self._spans] if len(self._spans) > 1 else []
        return torch.cat([labels.clamp(min=0), *(mask[:, None].to(labels.dtype) for mask in masks)], 1)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy for classes plus binary cross-entropy summed over attributes, averaged over images, in float32.

        Unknown labels do not count.
        """
        logits, known = logits.float(), (labels >= 0).float()
        parts = []
        for span, exclusive in self._spans:
            wanted = labels[:, span].clamp(min=0)
            if exclusive:
                parts.append(F.cross_entropy(logits[:, span], wanted, reduction="none") * known[:, span].amax(1))
            else:
                each = F.binary_cross_entropy_with_logits(logits[:, span], wanted, reduction="none")
                parts.append((each * known[:, span]).sum(1))
        return torch.stack(parts).sum(0).mean()

    def decide(self, logits: Tensor) -> Tensor:
        """The labels, 0 and 1, that logits imply: the largest of the classes, and each attribute above 0."""
        decided = [
            one_hot(logits[:, span].argmax(1), span.stop - span.start).float()
            if exclusive
            else (logits[:, span] > 0).float()
            for span, exclusive in self._spans
        ]
        return torch.cat(decided, 1)

    def accuracy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The share of known labels read right, where a group of classes counts as one label; without gradient."""
        # Masked sums instead of boolean indexing, whose sizes would make the host wait for the device.
        decided = self.decide(logits.detach())
        right = known = torch.zeros((), device=logits.device)
        for span, exclusive in self._spans:
            equal, asked = decided[:, span] == labels[:, span], labels[:, span] >= 0
            if exclusive:
                equal, asked = equal.all(1), asked.any(1)
            right, known = right + (equal & asked).sum(), known + asked.sum()
        return right / known.clamp(min=1)

    def change(self, labels: Tensor, request: Request) -> Tensor:
        """Sets and clears domains in `labels`. Domains excluded by one that is set are cleared, and groups without any
        change become unknown, since another set's labels are not requested."""
        changed = labels.clone()
        for span, _ in self._spans:
            if not any(span.start <= number < span.stop for number in request.domains):
                changed[:, span] = UNKNOWN
        for number in sorted(request.set):
            for alternatives in self._alternatives:
                if number in alternatives:
                    changed[:, sorted(alternatives - request.domains)] = 0
        for number in sorted(request.domains):
            changed[:, number] = float(number in request.set)
        return changed

    def restoring(self, labels: Tensor, request: Request) -> Request:
        """The request that restores an image's `labels` (domains,) in the groups that `request` touches: its class, or
        all its attributes."""
        there: list[int] = []
        absent: list[int] = []
        for span, exclusive in self._spans:
            numbers = range(span.start, span.stop)
            if any(number in numbers for number in request.domains):
                there += [number for number in numbers if labels[number]]
                absent += [number for number in numbers if not labels[number] and not exclusive]
        return Request(frozenset(there), frozenset(absent))

    def has_opposite(self, number: int) -> bool:
        """Whether the domain is an attribute that can be on or off independently of all others."""
        return not any(number in alternatives for alternatives in self._alternatives)

    def flip(self, labels: Tensor, number: int) -> Tensor:
        """Labels with class or alternative `number` set, or with any other attribute `number` inverted."""
        flipped = self.change(labels, Request.to(number))
        if self.has_opposite(number):
            flipped[:, number] = 1 - labels[:, number].clamp(min=0)
        return flipped


def require_domains(images: ImageSpec, batch_type: type[Batch], what: str) -> None:
    """Raises ConfigurationError, that begins with `what`, unless the domains are as many as such batches have (two, or
    those that the label groups count) and differ in name."""
    names = images.domains
    wanted = batch_type.domains() if batch_type.domains() > 1 else len(names)
    if batch_type.labels_are_domains() and images.groups:
        wanted = sum(group.size for group in images.groups)
    if len(names) != wanted:
        raise ConfigurationError(f"{what}: knows {wanted} domains, not {len(names)} ({', '.join(map(str, names))})")
    if len(set(names)) != len(names):
        raise ConfigurationError(f"{what}: its domains have equal names ({', '.join(map(str, names))})")
