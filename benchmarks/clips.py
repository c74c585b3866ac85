"""Samples a second of clips that do not fit into the cache: how videos of several key-frame distances are read.

    python benchmarks/clips.py [--size 256] [--seconds 8]

Clips of 1/f noise that moves, H.264, are written into a temporary folder. A sample is 4 frames and the next, at random
from 24 clips. Every way reads the same samples on one thread: `seek for each frame` opens nothing anew, but decodes
from the key frame before for each of the 5 frames; `ours` decodes on, and keeps what it decoded last; `one clip` is the
same with all samples from one clip; `in order` with samples one after another, as a film is converted; `frames as JPEG`
are the same frames in files of their own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from common import machine
from translate.data.clips.finding import Clip, clip_of, numbered_in
from translate.data.clips.video_file import look_of
from translate.data.clips.video_frames import Video
from translate.data.clips.window import Window
from translate.data.io.images import Picture, write

WINDOW, CLIPS, LENGTH, KEYS = Window(4), 24, 240, (12, 60, 250)
"""Frames of a clip, and distances of its key frames; 250 is what encoders do by themselves."""
Read = Callable[[int, int], object]
"""Reads a frame of a clip, by their numbers."""


def film(size: int) -> list[np.ndarray]:
    """Frames (size, size, 3), uint8, of a window that moves over a scene whose spectrum falls like a photograph's."""
    rng, side = np.random.default_rng(0), 2 * size
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1
    planes = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(3, side, side))) / frequency)
    scene = (planes / planes.std() * 50 + 128).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    return [scene[place : place + size, size - place : 2 * size - place] for place in _places(size)]


def _places(size: int) -> list[int]:
    return [abs((number * 2) % (2 * size) - size) for number in range(LENGTH)]


def encoded(path: Path, frames: list[np.ndarray], keys: int) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"g": str(keys), "crf": "20"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for place, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = place, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def seeking(path: Path) -> Read:
    """Reads a frame by seeking to the key frame before it, every time."""
    container, look = av.open(str(path)), look_of(av, path)
    stream = container.streams.video[0]
    tick = int(1 / (25 * stream.time_base))

    def read(clip: int, number: int) -> np.ndarray:
        container.seek(number * tick, stream=stream, backward=True)
        return next(look.upright(frame) for frame in container.decode(stream) if frame.pts >= number * tick)

    return read


def speed(read: Read, samples: list[tuple[int, int]], seconds: float) -> float:
    """Samples a second of processor time, which others' work on the machine disturbs less."""
    began, clock, count = time.process_time(), time.perf_counter(), 0
    for clip, last in samples:
        for number in (*WINDOW.inputs(last), last + 1):
            read(clip, number)
        count += 1
        if time.perf_counter() - clock > seconds:
            break
    return count / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    frames, rng = film(options.size), np.random.default_rng(1)
    print(f"{machine(torch.device('cpu'))['device']}, samples of {options.size} px a second of one core\n")
    print("| key frame every | seek for each frame | ours | ours, one clip | ours, in order | frames as JPEG |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "frames"
        place.mkdir()
        for number, pixels in enumerate(frames):
            write(place / f"{number:04}.jpg", Picture(np.ascontiguousarray(pixels)), quality=90)
        (files,) = numbered_in(place, "frames")
        lasts = files.lasts(WINDOW)
        mixed = [(int(rng.integers(CLIPS)), int(rng.choice(lasts))) for _ in range(10_000)]
        for keys in KEYS:
            path = encoded(Path(folder) / f"{keys}.mp4", frames, keys)
            clips = [clip_of(Video.at(path), path.name) for _ in range(CLIPS)]

            def ours(clip: int, number: int, clips: list[Clip] = clips) -> object:
                return clips[clip].frames[number].read(3)

            found = [
                speed(seeking(path), mixed, options.seconds),
                speed(ours, mixed, options.seconds),
                speed(ours, [(0, last) for _, last in mixed], options.seconds),
                speed(ours, [(clip, last) for clip in range(CLIPS) for last in lasts], options.seconds),
                speed(lambda clip, number: files.frames[number].read(3), mixed, options.seconds),
            ]
            print(f"| {keys} frames | " + " | ".join(f"{value:.1f}" for value in found) + " |", flush=True)


if __name__ == "__main__":
    main()
