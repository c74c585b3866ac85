"""Durations and bytes in words."""


def size_in_words(count: float) -> str:
    """Bytes as megabytes, gigabytes or terabytes, of powers of ten: "2.53 GB"."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count / 1e6:.3g} MB"


def duration_in_words(hours: float) -> str:
    """Seconds up to a minute, minutes up to an hour, then hours, from two days on days, too."""
    if hours < 1 / 60:
        return f"{3600 * hours:.2g} seconds"
    if hours < 1:
        return f"{60 * hours:.2g} minutes"
    return f"{hours:.3g} hours" + (f" ({hours / 24:.2g} days)" if hours >= 48 else "")
