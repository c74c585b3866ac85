"""Labelled sets on disk for tests, and what is said of their images."""

from __future__ import annotations

import gzip
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from tiny import numbered, put

from translate.data.labelled import (
    LabelledFolder,
)

rng = np.random.default_rng(0)


def told(folder: LabelledFolder, split: str = "train") -> dict[str, list[str]]:
    """The domains of each image, by its path within the root."""
    part = folder.splits[split]
    assert part.labels.shape == (len(part), len(folder.domains)) and part.labels.dtype == np.float32
    return {
        source.path.relative_to(folder.root).as_posix(): [
            name for name, label in zip(folder.domains, labels, strict=True) if label == 1
        ]
        for source, labels in zip(part.sources, part.labels, strict=True)
    }


def classes_of(folder: LabelledFolder, split: str) -> Counter[str]:
    return Counter(names[0] for names in told(folder, split).values())


ATTRIBUTES = "8\nBald Male Young\n" + "".join(
    f"{number}.jpg {' '.join('1' if number >> bit & 1 else '-1' for bit in range(3))}\n" for number in range(8)
)


def attribute_set(root: Path, text: str = ATTRIBUTES, folder: str = "img_align_celeba", count: int = 8) -> Path:
    put(root, *(f"{folder}/{number}.jpg" for number in range(count)))
    (root / "list_attr_celeba.txt").write_text(text)
    return root


def csv_set(root: Path, text: str, name: str = "labels.csv", count: int = 4) -> Path:
    put(root, *numbered("pictures", count))
    (root / name).write_text(text, encoding="utf-8-sig")
    return root


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def digit_set(root: Path, packed: bool = True, splits: tuple[str, ...] = ("train", "t10k")) -> np.ndarray:
    root.mkdir(exist_ok=True)
    pixels = rng.integers(0, 256, (20, 5, 7)).astype(np.uint8)
    for split in splits:
        for kind, values in (("images-idx3", pixels), ("labels-idx1", np.arange(20, dtype=np.uint8) % 10)):
            data = idx(values)
            path = root / f"{split}-{kind}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)
    return pixels


def real_set(real_data: Path, name: str) -> Path:
    if not (real_data / name).is_dir():
        pytest.skip(f"needs {name} below $TRANSLATE_DATA")
    return real_data / name
