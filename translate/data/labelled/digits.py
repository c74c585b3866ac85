"""Digits in their published formats, one file per split: idx (MNIST), or rows of numbers (USPS)."""

import gzip
import hashlib
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from translate.data.io.images import MAX_BYTES, Picture, with_channels
from translate.data.labelled.labelling import LabelledSplit, Labelling, one_hot
from translate.errors import ConfigurationError
from translate.utils.printing import shown

LOOKED_FOR = "train-images-idx3-ubyte train-labels-idx1-ubyte (t10k-...), also .gz; zip.train.gz (zip.test.gz)"
DIGITS = tuple("0123456789")
MAX_RATIO = 50
SMALL = 1 << 20
"""Bytes below which no file is a bomb."""
SPLITS = {"train": "train", "t10k": "test", "test": "test"}


@dataclass(frozen=True, eq=False)
class Digit:
    """One image of an array (images, height, width), uint8."""

    file: Path
    images: np.ndarray
    index: int

    @property
    def path(self) -> Path:
        """The file's path, followed by # and the index of the image."""
        return self.file.with_name(f"{self.file.name}#{self.index}")

    def read(self, channels: int) -> np.ndarray:
        """Returns (height, width, channels), uint8."""
        return with_channels(Picture(self.images[self.index][..., None]), channels)

    def identity(self) -> str:
        """See `Readable`. Its pixels are in memory, whatever has become of the file."""
        pixels = self.images[self.index]
        return f"digit:{pixels.shape}:{hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()}"


def read_digits(root: Path) -> Labelling | None:
    """Reads the digits in the files of `root`; returns None if there are none. Raises ConfigurationError."""
    rows = {split: root / f"zip.{split}.gz" for split in ("train", "test")}
    if rows["train"].is_file():
        parts = {split: _read_rows(path) for split, path in rows.items() if path.is_file()}
        return Labelling("digits in rows", DIGITS, exclusive=True, parts=parts)
    files = _files(root)
    if not files:
        return None
    for split in ("train", *files):
        for kind in ("images", "labels"):
            if kind not in files.get(split, {}):
                raise ConfigurationError(f"{shown(root)}: no {kind} of the {split} split; looked for {LOOKED_FOR}")
    parts = {split: _read_split(**files[split]) for split in ("train", "test") if split in files}
    return Labelling("digits in idx files", DIGITS, exclusive=True, parts=parts)


def _files(root: Path) -> dict[str, dict[str, Path]]:
    """Returns the files of images and labels of each split."""
    files: dict[str, dict[str, Path]] = {}
    for path in sorted(root.iterdir(), reverse=True):  # so that unpacked files override .gz
        match = re.fullmatch(r"(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?", path.name)
        if match and path.is_file():
            files.setdefault(SPLITS[match[1]], {})[match[2]] = path
    return files


def _read_split(images: Path, labels: Path) -> LabelledSplit:
    pixels, classes = _read_array(images, 3), _read_array(labels, 1)
    if len(pixels) != len(classes):
        raise ConfigurationError(
            f"{shown(labels)}: {len(classes)} labels for the {len(pixels)} images of {shown(images.name)}"
        )
    if (wrong := np.flatnonzero(classes >= len(DIGITS))).size:
        index = int(wrong[0])
        raise ConfigurationError(f"{shown(labels)}: label {classes[index]} of image {index}; digits are 0 to 9")
    digits = tuple(Digit(images, pixels, index) for index in range(len(pixels)))
    return LabelledSplit.of(digits, one_hot(classes.tolist(), len(DIGITS)))


def _read_rows(path: Path) -> LabelledSplit:
    """Reads rows as in The Elements of Statistical Learning: a digit, then 16 x 16 values, -1 (white) to 1 (black)."""
    try:
        with gzip.open(path) as file:
            content = file.read(_most(path) + 1)
        if len(content) > _most(path):
            raise ValueError("unpacks to far more than digits do")
        table = np.loadtxt(io.BytesIO(content), dtype=np.float32, ndmin=2)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ConfigurationError(f"{shown(path)}: cannot be read as rows of numbers: {error}") from error
    labels, values = table[:, 0].astype(int), table[:, 1:]
    if table.shape[1] != 257 or not set(labels.tolist()) <= set(range(10)) or np.abs(values).max() > 1:
        raise ConfigurationError(f"{shown(path)}: expected rows of a digit and 256 values from -1 to 1")
    pixels = ((values + 1) * 127.5).round().astype(np.uint8).reshape(-1, 16, 16)
    digits = tuple(Digit(path, pixels, index) for index in range(len(pixels)))
    return LabelledSplit.of(digits, one_hot(labels.tolist(), len(DIGITS)))


def _most(path: Path) -> int:
    """The most bytes that a file of digits unpacks to: they compress tenfold, a bomb a thousandfold."""
    return min(MAX_BYTES, MAX_RATIO * path.stat().st_size + SMALL)


def _read_array(path: Path, dimensions: int) -> np.ndarray:
    """Reads the bytes of an idx file: two zero bytes, type 8, the number of dimensions, each dimension, the values."""
    header = 4 + 4 * dimensions
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            head = file.read(header)
            if len(head) < header or head[:4] != bytes([0, 0, 8, dimensions]):
                raise ConfigurationError(f"{shown(path)}: no idx file of unsigned bytes in {dimensions} dimensions")
            shape = [int(side) for side in np.frombuffer(head, ">u4", offset=4)]
            expected = int(np.prod(shape, dtype=object))
            if not 0 < expected <= _most(path):
                raise ConfigurationError(
                    f"{shown(path)}: announces {expected:,} bytes; 1 to {_most(path):,} are read of a file of its size"
                )
            values = file.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigurationError(f"{shown(path)}: cannot be read: {error}") from error
    if len(values) != expected:
        more = "more" if len(values) > expected else f"{len(values):,}"
        raise ConfigurationError(f"{shown(path)}: announces {expected:,} bytes but has {more}; download it again")
    return np.frombuffer(values, np.uint8).reshape(shape)
