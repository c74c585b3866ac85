"""Small files that are seen whole or not at all, whatever kills the process that writes them."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Writes `text` in UTF-8 under a temporary name beside `path`, and renames that. Raises OSError."""
    working = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        working.write_text(text, encoding="utf-8")
        os.replace(working, path)
    finally:
        working.unlink(missing_ok=True)
