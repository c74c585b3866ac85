"""Pairs of noisy and clean speech: sentences spoken by espeak-ng, and noise that is made here; nothing is recorded."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
VOICES = ("en-us+m1", "en-us+f2", "en-gb+m3", "en-gb-scotland+f4", "en-gb-x-rp+m5", "en-us-nyc+f5")
HELD_OUT = ("en-gb-x-gbclan+m7", "en-us+f3")
"""Voices of which nothing is trained on."""
_WHO = ("The old baker", "My neighbour", "A tall stranger", "The young captain", "Every second guest", "Nobody here")
_DOES = ("carried", "had forgotten", "was looking for", "will repair", "cannot describe", "quietly sold")
_WHAT = ("seven wooden boxes", "the key of the garden", "a very long letter", "two pounds of cherries", "a blue coat")
_WHEN = (
    "before the rain began.",
    "at half past nine.",
    "on a cold Thursday.",
    "without saying why.",
    "near the harbour.",
)
KINDS = ("white", "hum", "babble")


def has_espeak() -> bool:
    return shutil.which("espeak-ng") is not None


def sentence(number: int) -> str:
    """One of 900 sentences; numbers that differ give sentences that differ."""
    number, who = divmod(number * 389 % 900, len(_WHO))
    number, does = divmod(number, len(_DOES))
    when, what = divmod(number, len(_WHAT))
    return f"{_WHO[who]} {_DOES[does]} {_WHAT[what]} {_WHEN[when]}"


def spoken(text: str, voice: str, rate: int = RATE) -> np.ndarray:
    """The sentence, float64 (samples,), at -26 dB of full scale in the mean."""
    from scipy.signal import resample_poly

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-w", str(file), text], check=True, capture_output=True)
        samples, own = soundfile.read(file)
    return levelled(resample_poly(samples, rate, own))


def tones(number: int, count: int = RATE * 2, rate: int = RATE) -> np.ndarray:
    """Something like speech where none can be spoken: harmonics of a pitch that glides, in syllables."""
    random = np.random.default_rng(number)
    time = np.arange(count) / rate
    pitch = random.uniform(90, 220) * (1 + 0.2 * np.sin(2 * np.pi * random.uniform(0.5, 1.5) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voiced = sum(np.sin(order * phase) / order for order in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(2, 4) * time + random.uniform(0, 6)), 0, 1)
    return levelled(voiced * syllables)


def levelled(samples: np.ndarray, level: float = 0.05) -> np.ndarray:
    return samples * (level / np.sqrt(np.mean(samples**2)))


def noise(kind: str, number: int, count: int, voices: Sequence[np.ndarray] = (), rate: int = RATE) -> np.ndarray:
    """Noise (count,): white; a hum of the mains with its harmonics and some hiss; or a babble of six `voices`."""
    random = np.random.default_rng((number, KINDS.index(kind)))
    if kind == "white" or (kind == "babble" and not voices):
        return random.normal(size=count)
    if kind == "hum":
        time, base = np.arange(count) / rate, random.choice([50, 60]) * random.uniform(0.99, 1.01)
        parts = [np.sin(2 * np.pi * base * order * time + random.uniform(0, 6)) / order for order in range(1, 9)]
        return sum(parts) + 0.1 * random.normal(size=count)
    chosen = random.choice(len(voices), 6)
    return sum(np.roll(np.resize(voices[row], count), int(random.integers(count))) for row in chosen)


def mixed(clean: np.ndarray, disturbing: np.ndarray, decibels: float) -> np.ndarray:
    """The clean samples with the noise at that signal-to-noise ratio."""
    power = np.mean(clean**2) / np.mean(disturbing**2) / 10 ** (decibels / 10)
    return clean + np.sqrt(power) * disturbing


def write_pairs(root: Path, split: str, clean: Sequence[np.ndarray], first: int = 0, suffix: str = ".wav") -> None:
    """noisy/SPLIT and clean/SPLIT below `root`: each sound with noise of the three kinds in turn, at 0 to 15 dB."""
    for number, samples in enumerate(clean, first):
        random = np.random.default_rng((number, 7))
        others = [other for other in clean if other is not samples]
        disturbing = noise(KINDS[number % len(KINDS)], number, len(samples), others)
        pair = {"noisy": mixed(samples, disturbing, random.uniform(0, 15)), "clean": samples}
        for side, found in pair.items():
            place = root / side / split
            place.mkdir(parents=True, exist_ok=True)
            soundfile.write(place / f"{number:04}{suffix}", found, RATE, subtype="PCM_16" if suffix != ".ogg" else None)


def speech_set(root: Path, train: int, test: int) -> Path:
    """Pairs of spoken sentences: no sentence of the test is trained on, and every second test voice is a new one."""
    write_pairs(root, "train", [spoken(sentence(n), VOICES[n % len(VOICES)]) for n in range(train)])
    voices = [voice for pair in zip(VOICES, HELD_OUT * 3, strict=True) for voice in pair]
    tested = [spoken(sentence(n), voices[n % len(voices)]) for n in range(train, train + test)]
    write_pairs(root, "test", tested, first=train)
    return root


def tone_set(root: Path, train: int = 4, test: int = 2, suffix: str = ".wav") -> Path:
    """Pairs of tones, for tests that need no speech."""
    write_pairs(root, "train", [tones(number) for number in range(train)], suffix=suffix)
    write_pairs(root, "test", [tones(number) for number in range(train, train + test)], train, suffix)
    return root
