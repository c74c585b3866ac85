"""What `translate data check` says of sound: how much there is, of which kinds, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from translate.data.messages import by_fault, few
from translate.data.sound.files import Facts, Survey, facts_of, survey
from translate.data.sound.finding import unlike
from translate.data.source import Readable
from translate.errors import ImageError

Looked = tuple[Facts, Survey]


def examined(splits: Mapping[str, Sequence[Sequence[Readable]]], domains: Sequence[str]) -> tuple[list[str], list[str]]:
    """Reads every sound of a data set: facts, and problems."""
    facts: list[str] = []
    problems: list[str] = []
    for split, columns in splits.items():
        for name, column in zip(domains, columns, strict=True):
            read, faults = _read([source.path for source in column])
            facts.append(f"{split} {name}: {_in_words(read)}")
            problems += [f"{line}. Repair or remove" for line in by_fault(faults)]
            if silent := [path for path, (_, found) in read.items() if found.silent]:
                problems.append(f"{split} {name}: silent from beginning to end, nothing to learn from: {few(silent)}")
            if loud := [path for path, (_, found) in read.items() if found.peak > 1]:
                problems.append(f"{split} {name}: above full scale; make each pair quieter: {few(loud)}")
        if len(columns) == 2 and len(columns[0]) == len(columns[1]) and (apart := unlike(columns)):
            problems.append(f"{split} pairs that differ in length or rate; cut them alike: {few(list(apart))}")
    return facts, problems


def _read(paths: Sequence[Path]) -> tuple[dict[Path, Looked], dict[Path, str]]:
    read: dict[Path, Looked] = {}
    faults: dict[Path, str] = {}
    for path in paths:
        try:
            facts = facts_of(path)
            read[path] = facts, survey(path, facts)
        except ImageError as error:
            faults[path] = str(error)
    return read, faults


def _in_words(read: Mapping[Path, Looked]) -> str:
    """How many, how long, and of which kinds: "40 sounds, 2.1 minutes in all, ...; 40 of 16,000 Hz, mono, PCM_16"."""
    if not read:
        return "nothing readable"
    seconds = np.array([facts.seconds for facts, _ in read.values()])
    counts = Counter(str(one) for one, _ in read.values()).most_common()
    kinds = ", ".join(f"{count} of {kind}" for kind, count in counts)
    ends = f"{seconds.min():.3g} to {seconds.max():.3g} seconds"
    return f"{len(read)} sounds, {seconds.sum() / 60:.1f} minutes in all, {ends}; {kinds}"
