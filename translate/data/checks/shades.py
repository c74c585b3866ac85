"""Sets of images that use only the darkest part of their depth: 12-bit data in 16 bits, class numbers in 8."""

from collections.abc import Iterator, Sequence

from translate.data.io.values import DEEP, UNIT, Span

DARK = 8
"""Shades are nearly black if they reach at most 1/DARK of their range."""
SHADE = 257
"""16-bit shades in one 8-bit shade."""


def nearly_black(full: int, white: float, span: Span = UNIT) -> str:
    """Says so if shades up to `white` are nearly black, of `full` or, if of 16 bits, of `span`; else returns ""."""
    measured = full == DEEP and span != UNIT
    low, high = span if measured else (0, full)
    if DARK * (white - low) > high - low:
        return ""
    if measured:
        value = f"{white:,.0f}" if white >= 100 else f"{white:.3g}"
        return (
            f"values up to {value} only, where data.range ends at {span[1]:g}: nearly black to a network; "
            "set a narrower data.range"
        )
    name = "16-bit" if full == DEEP else "8-bit"
    return f"{name} shades up to {white:,} of {full:,} only, nearly black to a network"


def mostly_black(shades: Sequence[tuple[int, float]], span: Span) -> Iterator[tuple[int, str]]:
    """Says of how many images it holds that they are nearly black, where it does of most, and of which depth they are.
    `shades`: full, as above, and the brightest, of each image that was looked at."""
    for full in (255, DEEP):
        whites = [white for depth, white in shades if depth == full]
        black = [white for white in whites if nearly_black(full, white, span)]
        if 2 * len(black) > len(whites):
            found = nearly_black(full, max(black), span)
            yield full, f"{len(black)} of {len(whites)} images looked at have {found}"


def stretching(white: float) -> int:
    """Returns the end of a range, 2 ** n - 1, that holds 16-bit shades up to `white`."""
    return int(2 ** int(white).bit_length() - 1)
