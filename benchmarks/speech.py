"""Speech by voice and kind of noise: SI-SDR and STOI of noisy files and of their translations.

python benchmarks/speech.py make FOLDER                  # 300 pairs to train on and 48 to measure on, by espeak-ng
translate train speech --data FOLDER --out RUN training.steps=3000
translate convert RUN FOLDER/noisy/test OUT
python benchmarks/speech.py measure FOLDER OUT           # a table
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "tests/support")]

import speech_files  # noqa: E402

from translate.evaluation.sound_measures import si_sdr, stoi  # noqa: E402

TRAIN, TEST = 300, 48


def measure(folder: Path, out: Path) -> str:
    """A table of means: all test files, those of voices that were trained on and of others, and each kind of noise."""
    rows: dict[str, list[tuple[float, ...]]] = {}
    for number in range(TRAIN, TRAIN + TEST):
        places = (folder / "noisy/test", out, folder / "clean/test")
        noisy, made, clean = (soundfile.read(place / f"{number:04}.wav")[0] for place in places)
        rate = speech_files.RATE
        row = si_sdr(noisy, clean), si_sdr(made, clean), stoi(noisy, clean, rate), stoi(made, clean, rate)
        voice = "held-out voices" if number % 2 else "voices of the training"
        for name in ("all", voice, speech_files.KINDS[number % len(speech_files.KINDS)]):
            rows.setdefault(name, []).append(row)
    lines = ["| | files | SI-SDR noisy | translated | STOI noisy | translated |", "|---|---:|---:|---:|---:|---:|"]
    for name, found in rows.items():
        a, b, c, d = np.mean(found, 0)
        lines.append(f"| {name} | {len(found)} | {a:.2f} | {b:.2f} | {c:.3f} | {d:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        speech_files.speech_set(Path(sys.argv[2]), TRAIN, TEST)
    else:
        print(measure(Path(sys.argv[2]), Path(sys.argv[3])))
