"""Refuses training image sizes that the networks cannot take, and names ones that they can."""

from translate.errors import ConfigurationError

LEAST = 8
"""The smallest `data.size` that a recipe may ask for."""


def require_multiple(size: int, of: int, who: str, otherwise: str) -> None:
    """Raises ConfigurationError unless `size` is a multiple of `of`, naming the nearest sizes and the alternative
    `otherwise`."""
    if size % of:
        below = size - size % of
        nearest = " or ".join(str(side) for side in (below, below + of) if side >= LEAST)
        raise ConfigurationError(
            f"data.size is {size}, and {who} take multiples of {of}: set data.size to {nearest}, or {otherwise}"
        )


def require_at_least(size: int, least: int, who: str, otherwise: str) -> None:
    """Raises ConfigurationError if `size` is below `least`, naming a sufficient size and the alternative
    `otherwise`."""
    if size < least:
        enough = -(-least // 8) * 8  # other networks take multiples
        raise ConfigurationError(
            f"data.size is {size}, and {who} need {least} pixels at least: set data.size to {enough} or more, "
            f"or {otherwise}"
        )
