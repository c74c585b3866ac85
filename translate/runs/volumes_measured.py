"""Scores of whole volumes: each test patient converted as `translate convert` does, beside the true volume."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from translate.data.domain import Domain
from translate.data.io.images import to_float
from translate.data.io.picture import Picture
from translate.data.planes import planes_of
from translate.data.volumes.folder import VolumeFolder
from translate.data.volumes.grid import slices_along
from translate.data.volumes.reading import look, read
from translate.data.volumes.slices import VolumeSlice
from translate.data.volumes.volume_file import HU, VolumeFile
from translate.evaluation import metrics
from translate.evaluation import volumes as measures
from translate.evaluation.intervals import Estimate, bootstrap_mean, bootstrap_ratio
from translate.evaluation.table import Score, score
from translate.evaluation.validation import Direction
from translate.inference.converter import Converter
from translate.inference.volumes import translated_volume
from translate.models.base import Request, Translator
from translate.runs.evaluator import Evaluator
from translate.runs.image_sets import TwoDomains

ALL = "all patients"
INTERVAL = "95 %, bootstrap: of a patient over slices, of all over patients"
FLOOR = "best colour map"


@dataclass(frozen=True)
class Measured:
    """What one volume comes to, by measure; with intervals where slices are measured each by itself."""

    patient: str
    values: Mapping[str, Estimate | float]
    floor: Mapping[str, Estimate | float]


def scores_of_volumes(
    evaluator: Evaluator, model: Translator, images: TwoDomains, directions: Sequence[Direction]
) -> list[Score]:
    """A row for each test patient, and one for all, of every direction; empty unless these are pairs of volumes."""
    folder = images.folder
    if not isinstance(folder, VolumeFolder) or not folder.test_is_paired:
        return []
    converter = Converter(copy.deepcopy(model), evaluator.loaded.images, replace(evaluator.runtime, fused=False))
    found = []
    for direction in directions:
        columns = folder.splits["test"]
        pairs = _pairs(columns[direction.origin], columns[direction.to])
        with evaluator.progress(len(pairs)) as bar:
            measured = []
            for patient, given, true in pairs:
                measured.append(_measured(converter, direction, patient, given, true, folder.bodies))
                bar.advance(1)
        protocol = {**evaluator.protocol, **direction.colours, **_protocol(images.kind(direction.to), folder)}
        found += _scores(direction.name, measured, images.kind(direction.to), protocol)
    return found


def _pairs(given: Sequence[Any], true: Sequence[Any]) -> list[tuple[str, VolumeFile, VolumeFile]]:
    return list({a.file.path: (a.patient, a.file, b.file) for a, b in zip(given, true, strict=True)}.values())


def _measured(
    converter: Converter,
    direction: Direction,
    patient: str,
    given: VolumeFile,
    true: VolumeFile,
    bodies: Mapping[Path, Path],
) -> Measured:
    target = converter.images.domain(direction.to)
    truth = read(true)
    body = bodies.get(true.path)
    mask = measures.body_mask(truth, target.unit) if body is None else read(look(body)) > 0
    made = translated_volume(converter, given, read(given), Request.to(direction.to))
    floor = _mapped(converter, direction, given, made.dtype)
    return Measured(patient, _all(made, truth, mask, target), _all(floor, truth, mask, target))


def _mapped(converter: Converter, direction: Direction, file: VolumeFile, kind: np.dtype) -> np.ndarray:
    """The volume under the best colour map of the direction."""
    given, target = (converter.images.domain(number) for number in (direction.origin, direction.to))
    values = read(file)
    made = np.empty(values.shape, kind)
    slicing = given.slicing
    assert slicing is not None, "a domain of a set of volumes"
    into, count = slices_along(made, slicing.axis), values.shape[slicing.axis]
    for index in range(count):
        pixels = VolumeSlice.of(VolumeSlice(file, slicing, index, ""), given).read(given.stored_channels)
        planes = to_float(torch.from_numpy(planes_of(Picture(pixels), given))).permute(2, 0, 1)[None]
        mapped = direction.references(planes, planes[:, :1])[FLOOR]
        low, high = target.ends
        values = low + (mapped[0, 0].numpy().astype(np.float64) + 1) / 2 * (high - low)
        into[index] = np.rint(values) if kind.kind in "iu" else values
    return made


def _all(made: np.ndarray, truth: np.ndarray, mask: np.ndarray, target: Domain) -> dict[str, Estimate | float]:
    axis = target.slicing.axis if target.slicing else 0
    made_slices, true_slices, inside_slices = (slices_along(one, axis) for one in (made, truth, mask))
    sums, counts = map(torch.from_numpy, measures.absolute_errors(made_slices, true_slices, inside_slices))
    found: dict[str, Estimate | float] = {}
    if bool(counts.sum()):
        found["volume_error"] = bootstrap_ratio(sums, counts)
    inside = np.flatnonzero(counts.numpy())
    each = [(_unit(made_slices[index], target), _unit(true_slices[index], target)) for index in inside]
    for key, function in (("slice_psnr", metrics.psnr), ("slice_ssim", metrics.ssim)):
        if each:
            found[key] = bootstrap_mean(torch.stack([function(a, b) for a, b in each]))
    if target.unit == HU and bool(counts.sum()):
        found["synthrad_psnr"] = measures.psnr(made, truth, mask)
        found["synthrad_ssim"] = measures.ssim(made, truth, mask)
        found["synthrad_ms_ssim"] = measures.ms_ssim(made, truth, mask)
    return found


def _unit(values: np.ndarray, target: Domain) -> Tensor:
    """A slice as (1, 1, height, width) in [-1, 1], the ends of its domain."""
    low, high = target.ends
    return torch.from_numpy((values.astype(np.float64) - low) * (2 / (high - low)) - 1).clamp(-1, 1)[None, None]


def _scores(name: str, measured: Sequence[Measured], target: Domain, protocol: dict[str, Any]) -> list[Score]:
    found = []
    for key in dict.fromkeys(key for one in measured for key in one.values):
        rows: list[tuple[str, Estimate | float, float]] = []
        have = [one for one in measured if key in one.values]
        for one in have:
            rows.append((f"{name}: {one.patient}", one.values[key], _plain(one.floor[key])))
        of_all = torch.tensor([_plain(one.values[key]) for one in have], dtype=torch.float64)
        over = bootstrap_mean(of_all) if len(have) > 1 else float(of_all)
        rows.append((f"{name}: {ALL}", over, float(np.mean([_plain(one.floor[key]) for one in have]))))
        measure = metrics.measure_of(key)
        unit = {"unit": target.unit} if key == "volume_error" else {}
        ceiling = {"the truth itself": measure.perfect}
        found += [
            score(key, row, value, floor={FLOOR: floor}, ceiling=ceiling, protocol=protocol, **unit)
            for row, value, floor in rows
        ]
    return found


def _plain(value: Estimate | float) -> float:
    return value.value if isinstance(value, Estimate) else value


def _protocol(target: Domain, folder: VolumeFolder) -> dict[str, str]:
    masks = len(folder.bodies)
    made = measures.mask_in_words(target.unit)
    return {
        "resize": "volumes are compared voxel by voxel, as `translate convert` writes them",
        "body": f"the set's own masks where there are any, else {made}" if masks else made,
        "interval": INTERVAL,
    }
