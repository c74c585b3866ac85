"""Small clips for tests: squares that move over a ramp, as videos and as folders of numbered frames."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 32, 48


def pictures(count: int, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> list[np.ndarray]:
    """The frames, (height, width, 3), uint8; no two are the same."""
    height, width = size
    ramp = np.linspace(40, 160, width).astype(np.uint8)
    frames = []
    for number in range(count):
        pixels = np.repeat(np.repeat(ramp[None, :, None], height, 0), 3, 2).copy()
        left = (3 * number + 7 * seed) % (width - 10)
        pixels[8:20, left : left + 10] = (220, 30 + 40 * (seed % 5), 60)
        pixels[-4:, :, 2] = (9 * number + 31 * seed) % 256
        frames.append(pixels)
    return frames


def video(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    encoder: str = "libx264",
    stamps: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    rate: int = 25,
) -> Path:
    """Writes the frames as a video; `stamps`: when each is shown, in frames."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container or {}) as file:
        stream: Any = file.add_stream(encoder, rate=rate, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for place, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = stamps[place] if stamps else place, Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def decoded(path: Path, matrix: int = 5) -> list[np.ndarray]:
    """All frames of a video by plain decoding from its beginning, with the colour matrix that players assume."""
    import av

    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24", src_colorspace=matrix) for frame in file.decode(video=0)]


def numbered(folder: Path, frames: Sequence[np.ndarray], numbers: Sequence[int] | None = None, name: str = "") -> Path:
    """Writes the frames as PNG files `name`0001.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, pixels in enumerate(frames):
        number = numbers[place] if numbers else place
        Image.fromarray(pixels).save(folder / f"{name}{number:04d}.png")
    return folder
