"""How much translated clips flicker, beside the clips themselves: those of a run of the next frame, or ones given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from translate.data.clips.finding import Clip, clip_of, find_clips
from translate.data.clips.opening import LOOKED_FOR
from translate.data.clips.video_file import is_video
from translate.data.clips.video_frames import Video
from translate.data.clips.window import Window, window_of
from translate.data.domain import Domain
from translate.data.io.images import Picture, to_8_bits
from translate.data.layers import holds_any
from translate.data.source import OfDomain
from translate.errors import ConfigurationError
from translate.evaluation.intervals import bootstrap_mean
from translate.evaluation.table import Protocol, Score, score
from translate.inference.clips import Predictor
from translate.inference.converter import Converter
from translate.inference.steady import Flicker, Steady
from translate.inference.video import shown_of
from translate.models.base import Request, Translator
from translate.runs.evaluator import Evaluator
from translate.runs.image_sets.clip_pairs import ClipPairs
from translate.runs.loading import as_derived
from translate.utils.printing import shown

CLIPS, FRAMES = 16, 32
"""Most clips that are translated, and frames of each."""
FLOOR = "the clip itself"


def scores_of_flicker(evaluator: Evaluator, place: Path | None = None) -> list[Score]:
    """Flicker in each direction, of the clips at `place`, a video or a folder of clips; else of the test clips, if the
    run has any; of other runs none. What `convert --steady` would leave is a row of its own. Raises ConfigurationError
    if there are no clips, or the model does not translate pictures to pictures."""
    model, images = evaluator.loaded.model, evaluator.images
    if place is None and not (isinstance(images, ClipPairs) and isinstance(model, Translator)):
        return []
    if not isinstance(model, Translator):
        raise ConfigurationError(f"--clips {place}: a {evaluator.loaded.recipe.name} translates no pictures")
    clips = _clips_at(place) if place else _whole(images) if isinstance(images, ClipPairs) else []
    converter = Converter(model, evaluator.loaded.images, evaluator.runtime, evaluator.loaded.checkpoint.folder)
    converter.derived = as_derived(evaluator.loaded.recipe)
    found: list[Score] = []
    for to in converter.targets if clips else ():
        found += _in_direction(converter, to, clips, evaluator, place)
    return found


def _clips_at(place: Path) -> list[Clip]:
    if is_video(place):
        return [clip_of(Video.at(place), place.name)]
    if not place.is_dir():
        raise ConfigurationError(f"--clips {shown(place)}: neither a video nor a folder of clips")
    clips = [one for one in find_clips(place) if isinstance(one, Clip)]
    if not clips:
        raise ConfigurationError(f"--clips {shown(place)}: no clips here: {LOOKED_FOR}")
    return clips


def _whole(images: ClipPairs) -> list[Clip]:
    """The test clips of which every frame can be read."""
    bad = images.folder.left_out
    clips = images.folder.clips.get("test", ())
    return [clip for clip in clips if not any(holds_any(frame, bad) for frame in clip.frames)]


def _in_direction(
    converter: Converter, to: str, clips: Sequence[Clip], evaluator: Evaluator, place: Path | None
) -> list[Score]:
    request = converter.request(to)
    given, target = converter.images.to_translate(request), converter.images.translated(request)
    window = window_of(given, target)
    if target.numbered or given.numbered or given.sound or (given.layers and not window):
        raise ConfigurationError(f"--clips {place}: the model translates {given} to {target}, which no video holds")
    chosen = [clips[row] for row in np.linspace(0, len(clips) - 1, min(CLIPS, len(clips))).round().astype(int)]
    with evaluator.progress(len(chosen)) as bar:
        each = []
        for clip in chosen:
            steady = Steady()
            for pair in _translated(converter, request, clip, window):
                steady(*pair)
            each.append(steady.flicker)
            bar.advance()
    name = f"to {to}" if place is None or window is None else f"to {to}, predicted"
    rows = [(name, [one.translated for one in each])]
    if window is None:
        rows.append((f"{name}, by --steady", [one.written for one in each]))
    protocol = {
        **evaluator.protocol,
        "data": place.name if place else evaluator.protocol["data"],
        "split": f"the first {FRAMES} frames of {len(chosen)} clips",
        "resize": "as convert does",
    }
    return [_score(name, values, each, protocol) for name, values in rows]


def _score(name: str, values: Sequence[float], each: Sequence[Flicker], protocol: Protocol) -> Score:
    known = [(value, one) for value, one in zip(values, each, strict=True) if one.frames]
    if not known:
        return score("flicker", name, None, protocol=protocol, note="no two frames show anything of the same")
    estimate = bootstrap_mean(torch.tensor([value for value, _ in known], dtype=torch.float64))
    own = float(np.mean([one.own for _, one in known]))
    frames = sum(one.frames for _, one in known)
    how = {**protocol, "interval": "95 %, bootstrap over clips"}
    return score("flicker", name, estimate, floor={FLOOR: own}, images=frames, protocol=how)


def _as_one_of(frame: OfDomain, domain: Domain) -> OfDomain:
    return type(frame).of(frame, domain)


def _translated(
    converter: Converter, request: Request, clip: Clip, window: Window | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames of a clip in order, as they are shown, and their translations, both (height, width, 3), uint8; of a model
    of the next frame the true ones beside those predicted from the true ones before."""
    layer = converter.images.to_translate(request).parts[0]
    reach = window.reach if window else 0
    piece = max(clip.pieces, key=len)[: FRAMES + reach]
    frames = [clip.frames[number] for number in piece]
    pictures = [Picture(_as_one_of(one, layer).read(layer.stored_channels)) for one in frames]
    for number in range(reach, len(frames)):
        own = sample = pictures[number]
        if window:
            rows = window.inputs(number - window.step)
            predictor = Predictor(converter, request, window, clip.path)
            sample = predictor.sample([pictures[row] for row in rows], [frames[row].path for row in rows])
        (made,) = converter.convert_pictures([sample], request, "8")
        pixels = own.pixels if own.pixels.dtype == np.uint8 else to_8_bits(own.pixels)
        yield shown_of(Picture(pixels)), shown_of(made)
