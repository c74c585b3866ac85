"""Groups of domains that are labelled together."""

from dataclasses import dataclass

UNKNOWN = -1.0
"""Label of an image that may or may not belong to a domain; 1 means that it does, 0 that it does not."""


@dataclass(frozen=True)
class LabelGroup:
    """`size` adjacent domains that one set labels together.

    `exclusive`: every image belongs to exactly one of them (classes); otherwise each is an attribute that an image may
    have. Training jointly on several labelled sets concatenates their groups.
    """

    size: int
    exclusive: bool
