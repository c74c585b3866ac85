"""Photos made of label maps: of a plane for each class, beside the same label maps as colour images.

    python benchmarks/labels.py FOLDER --colours COPY          (the same pairs, with label maps as colours)
    translate train pix2pix --data FOLDER data.size=128 training.steps=6000 --out runs/planes
    translate train pix2pix --data COPY data.size=128 training.steps=6000 --out runs/colours
    python benchmarks/labels.py FOLDER --runs runs/planes runs/colours --segmenter segmenter.safetensors

FOLDER holds labels/{train,val} and photos/{train,val}, such as CamVid; `--unlabelled` is the number of what nobody
labelled, the highest. A small U-Net learns the classes of real photos; or is read from the file of `--segmenter`, if
that is there; or it is a run of `translate train` from photos to labels. Then a row for each run, of all validation
pairs: the mean L1 (black is 0, white 1) of what is delivered, in its own size and reduced to `--side` pixels, and how
well the segmenter finds the labels in the latter (mean IoU, pixel accuracy). Above them stand real photos, and label
maps in the mean colours of their classes, which needs no model.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from common import report
from translate.data.domain import Domain
from translate.data.io.images import Picture, resize, to_float
from translate.data.label_maps import palette, planes
from translate.data.planes import read_as
from translate.evaluation.label_measures import accuracy_of, confusions, mean_iou_of
from translate.losses.labels import cross_entropy
from translate.networks.unet import UNetGenerator
from translate.runs.loading import load

PHOTOS = Domain("photos", dtype="uint8")
BATCH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--colours", type=Path, metavar="COPY", help="write the pairs there, label maps as colours")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="of FOLDER, or of a COPY")
    parser.add_argument("--checkpoint", default="latest")
    parser.add_argument("--segmenter", type=Path, help="where its weights are kept, or a run")
    parser.add_argument("--steps", type=int, default=1000, help="of the segmenter's training")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--unlabelled", type=int, default=11)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.colours:
        return _write_colours(options.folder, options.colours, options.unlabelled)
    labels = Domain("labels", options.unlabelled, dtype="uint8", kind="labels", ignore=options.unlabelled)
    training, measured = (Pairs(options.folder, part, labels) for part in ("train", "val"))
    judge = Judge(_segmenter(training, options), options.side)
    made = {"real photos": measured.photos, "mean colours": _in_mean_colours(training, measured)}
    made |= {run.name: _translated(run, options.checkpoint, measured) for run in options.runs}
    rows = [judge.row(name, photos, measured) for name, photos in made.items()]
    return report("labels", torch.device("cpu"), rows, options.json)


class Pairs:
    """The photos (height, width, 3) of one part of the folder, and label maps (height, width, 1) of classes."""

    def __init__(self, folder: Path, part: str, labels: Domain) -> None:
        self.kind, self.files = labels, sorted((folder / "labels" / part).iterdir())
        self.labels = [read_as(path, labels).pixels for path in self.files]
        photos = {path.stem: path for path in (folder / "photos" / part).iterdir()}
        self.photos = [read_as(photos[path.stem], PHOTOS).pixels for path in self.files]

    def planes(self, side: int) -> Tensor:
        """The label maps as planes (images, classes, side, side)."""
        small = np.stack([self.kind.resized(one, side, side) for one in self.labels])
        return planes(torch.from_numpy(small).permute(0, 3, 1, 2), self.kind.classes)


class Judge:
    """A segmenter of photos, which has seen them with `side` pixels."""

    def __init__(self, network: Callable[[Tensor], Tensor], side: int) -> None:
        self.network, self.side = network, side

    @torch.no_grad()
    def row(self, name: str, photos: Sequence[np.ndarray], truth: Pairs) -> dict[str, Any]:
        """How near the photos are to the real ones, and what the segmenter finds in them."""
        small, true = _small(photos, self.side), _small(truth.photos, self.side)
        found = torch.cat([self.network(some) for some in small.split(BATCH)])
        errors = [np.abs(one.astype(float) - real).mean() for one, real in zip(photos, truth.photos, strict=True)]
        confusion = confusions(found, truth.planes(self.side)).sum(0)
        return {
            "photos": name,
            "L1": f"{np.mean(errors) / 255:.4f}",
            f"L1 at {self.side} px": f"{(small - true).abs().mean() / 2:.4f}",
            "mean IoU": f"{mean_iou_of(confusion):.4f}",
            "pixel accuracy": f"{accuracy_of(confusion):.4f}",
        }


def _small(photos: Sequence[np.ndarray], side: int) -> Tensor:
    """As (images, 3, side, side) in [-1, 1]."""
    small = np.stack([resize(photo, side, side) for photo in photos])
    return to_float(torch.from_numpy(small).permute(0, 3, 1, 2))


def _segmenter(training: Pairs, options: argparse.Namespace) -> Callable[[Tensor], Tensor]:
    """From photos to planes of classes: a run, or a U-Net that is read from its file, or trained and written there."""
    if options.segmenter and options.segmenter.is_dir():
        return partial(load(options.segmenter, device="cpu", precision="float32").model.convert, to=1)
    torch.manual_seed(0)
    network = UNetGenerator(3, training.kind.classes, filters=32, levels=int(np.log2(options.side)) - 1, dropout=0.0)
    if options.segmenter and options.segmenter.is_file():
        network.load_state_dict(load_file(options.segmenter))
        return network.eval()
    _train(network, _small(training.photos, options.side), training.planes(options.side), options.steps)
    if options.segmenter:
        save_file(network.state_dict(), options.segmenter)
    return network.eval()


def _train(network: UNetGenerator, photos: Tensor, wanted: Tensor, steps: int) -> None:
    """By cross-entropy where somebody labelled, on photos mirrored and in other lights at random."""
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        some = torch.randint(len(photos), (BATCH,))
        given = photos[some] * (0.8 + 0.4 * torch.rand(BATCH, 1, 1, 1)) + 0.2 * torch.randn(BATCH, 1, 1, 1)
        mirrored = [3] if torch.rand(()) < 0.5 else []
        loss = cross_entropy(network(given.flip(mirrored)), wanted[some].flip(mirrored))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _in_mean_colours(training: Pairs, measured: Pairs) -> list[np.ndarray]:
    """The label maps of what is measured, each class in the mean colour that it has in training."""
    sums, counts = np.zeros((256, 3)), np.zeros(256)
    for labels, photo in zip(training.labels, training.photos, strict=True):
        counts += np.bincount(labels.ravel(), minlength=256)
        for channel in range(3):
            sums[:, channel] += np.bincount(labels.ravel(), photo[..., channel].ravel(), minlength=256)
    table = (sums / counts.clip(1)[:, None]).round().astype(np.uint8)
    return [table[labels[..., 0]] for labels in measured.labels]


def _translated(run: Path, checkpoint: str, measured: Pairs) -> list[np.ndarray]:
    """What `translate convert` delivers of the label maps: as they are, or as colours if the run takes images."""
    converter = load(run, checkpoint, device="cpu", precision="float32")
    request = converter.request(None)
    given = converter.images.to_translate(request)
    made = []
    for path in measured.files:
        picture = read_as(path, given) if given.classes else Picture(_in_colours(path, measured.kind.classes))
        (photo,) = converter.convert_pictures([picture], request)
        made.append(photo.pixels)
    return made


def _in_colours(path: Path, unlabelled: int) -> np.ndarray:
    """The label map (height, width, 3) in the toolkit's colours, one more for what nobody labelled."""
    numbered = Domain("labels", unlabelled + 1, dtype="uint8", kind="labels")
    return palette(numbered)[read_as(path, numbered).pixels[..., 0]]


def _write_colours(folder: Path, copy: Path, unlabelled: int) -> None:
    for path in sorted((folder / "labels").rglob("*.*")):
        place = copy / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(_in_colours(path, unlabelled)).save(place)
    shutil.copytree(folder / "photos", copy / "photos")


if __name__ == "__main__":
    main()
