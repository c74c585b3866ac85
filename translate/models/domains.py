"""Refuses domains that a method cannot have: too few, too many, or of equal names."""

from __future__ import annotations

from translate.data.batch import Batch
from translate.errors import ConfigurationError
from translate.models.base import ImageSpec


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
