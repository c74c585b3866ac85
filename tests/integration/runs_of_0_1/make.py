"""Made the runs in this folder by version 0.1.0, and what that version went on to do with them.

    python tests/integration/runs_of_0_1/make.py FOLDER     (with version 0.1.0 on the PYTHONPATH)

Later versions have to do the same with them, see `test_old_runs.py`, which makes the images anew. Do not make the runs
anew with a later version: they are its witnesses. All paths are relative to the folder that the commands are typed in.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from safetensors.numpy import save_file

STEPS, RESUMED_TO = 4, 7
SIDE = 24
ON_CPU = ("--device", "cpu")
EXACTLY = (*ON_CPU, "--precision", "float32")

TRAINING = {
    "steps": STEPS,
    "epochs": None,
    "batch_size": 2,
    "lr": 2e-3,
    "decay_from": 0.25,
    "precision": "float32",
    "log_every": 1,
    "sample_every": 4,
    "validate_every": 2,
    "checkpoint_every": 2,
    "keep": 1,
}
DATA = {"size": 16, "load_size": 18, "workers": 0}
RESNET = {"filters": 2, "blocks": 1}
PATCH = {"filters": 2, "layers": 1}
MLP = {"width": 4, "layers": 1}


@dataclass(frozen=True)
class Run:
    """A run to make: a recipe on top of a shipped one, and what is done with it."""

    base: str
    images: str
    model: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    to: tuple[str, ...] = ()
    """What it converts to; none draws images from noise, or reads digits."""
    draws: bool = False
    photos: str = "photos"

    @property
    def recipe(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "model": self.model,
            "data": {**DATA, **self.data},
            "training": {**TRAINING, **self.training},
        }


RUNS = {
    "cyclegan": Run(
        "cyclegan",
        "unpaired",
        {"pool": 3, "generator": RESNET, "discriminator": PATCH},
        training={"ema": 0.9, "keep": 2},
        to=("sketch",),
    ),
    "pix2pix": Run(
        "pix2pix",
        "paired",
        {
            "generator": {"filters": 2, "levels": 3},
            "discriminator": PATCH,
            "adversarial": {"augment": ["colour", "translation", "cutout"]},
        },
        data={"augment": [{"name": "Rotate", "limit": 10, "p": 0.5}]},
        training={"accumulate": 2, "network_lr": {"discriminator": 4e-3}},
        to=("B",),
    ),
    "direct": Run(
        "direct",
        "scans",
        {"pool": 3, "generator": RESNET, "discriminator": PATCH},
        data={"channels": 1, "range": [0, 4095]},
        training={"optimizer": "rmsprop", "schedule": "cosine"},
        to=("B",),
        photos="slices",
    ),
    "stargan": Run(
        "stargan",
        "labelled",
        {
            "generator": {"filters": 2, "blocks": 1, "downsamplings": 1},
            "discriminator": {"filters": 2, "layers": 2},
            "adversarial": {"discriminator_turns": 2},
        },
        to=("roses",),
    ),
    "stargan-attributes": Run(
        "stargan",
        "attributes",
        {
            "generator": {"filters": 2, "blocks": 1, "downsamplings": 1},
            "discriminator": {"filters": 2, "layers": 2},
            "adversarial": {"discriminator_turns": 2},
        },
        training={"ema": 0.9},
        to=("Blond", "-Male"),
    ),
    "unit": Run(
        "unit",
        "unpaired",
        {
            "code_adversary": 1,
            "semantic": 1,
            "cycle": "both",
            "autoencoder": {"filters": 2, "downsamplings": 1, "blocks": 2, "share": 1},
            "discriminator": {"filters": 2, "layers": 2, "scales": 2},
        },
        data={"resize": "square"},
        training={"halve_every": 3},
        to=("sketch",),
    ),
    "unit-digits": Run(
        "unit-digits", "digits", {"filters": 1, "discriminator_filters": 1}, data={"size": 32, "load_size": 32}
    ),
    "wgan-gp": Run(
        "wgan-gp",
        "labelled",
        {"code": 4, "generator": MLP, "discriminator": MLP, "adversarial": {"discriminator_turns": 2}},
        draws=True,
    ),
    "cgan": Run(
        "cgan",
        "labelled",
        {"code": 4, "generator": {"filters": 2}, "discriminator": {"filters": 2}},
        training={"ema": 0.9, "batch_size": 8},
        draws=True,
    ),
    "vae": Run("vae", "labelled", {"code": 4, "encoder": MLP, "decoder": MLP}, draws=True),
}  # fmt: skip
EVALUATED = ["cyclegan", "pix2pix", "stargan", "stargan-attributes", "unit-digits", "cgan"]
EXPORTED = ["cyclegan", "stargan-attributes"]
WITH_REPORT = {"cyclegan"}
COMPARED = ["cyclegan", "unit", "stargan"]
CONVERTING = [name for name, run in RUNS.items() if run.to]
DRAWING = [name for name, run in RUNS.items() if run.draws]


# Files of bitmaps are the same bytes with every version of every library, so that a classifier knows its images again.


def make_data(folder: Path) -> None:
    """Writes all that the runs were trained on into FOLDER/data, and what they convert into FOLDER/photos."""
    for split, count in (("train", 6), ("test", 2)):
        for number in range(count):
            for domain, letter in enumerate("AB"):
                _save(folder / f"data/paired/{split}{letter}/{number}.bmp", picture(number, domain, split))
                own = letter if split == "train" else ""
                _save(folder / f"data/unpaired/{split}{letter}/{own}{number}.bmp", picture(number, domain, split))
                scan = picture(number, domain, split)[..., 0].astype(np.uint16) * 16
                _save(folder / f"data/scans/{split}{letter}/{letter}{number}.png", scan)
            for kind, name in enumerate(("lilies", "roses", "tulips")):
                _save(folder / f"data/labelled/{split}/{name}/{name}{number}.bmp", picture(number, kind, split))
            for kind in range(3):
                for domain, name in enumerate(("drawn", "typed")):
                    digit = picture(number, kind, split)[..., domain]
                    _save(folder / f"data/{name}/{split}/{kind}/{number}.bmp", digit)
    _describe(folder / "data/unpaired", "domains: [photo, sketch]\ntest_paired: true\n")
    _describe(folder / "data/digits", "a: ../drawn\nb: ../typed\n")
    rows = ["file,Black,Blond,Male"]
    for number in range(12):
        _save(folder / f"data/attributes/{number:02}.bmp", picture(number, number % 3, "attributes"))
        rows.append(f"{number:02}.bmp,{int(number % 3 == 0)},{int(number % 3 == 1)},{number % 2}")
    (folder / "data/attributes/labels.csv").write_text("\n".join(rows) + "\n")
    _describe(folder / "data/attributes", "alternatives: [[Black, Blond]]\n")
    for number in range(2):
        _save(folder / f"photos/{number}.png", picture(number, 0, "photos", width=SIDE + 6))
        _save(folder / f"slices/{number}.png", picture(number, 0, "photos")[..., 0].astype(np.uint16) * 16)


def more_photos(folder: Path) -> None:
    """One more picture to convert, which came later."""
    _save(folder / "photos/later.png", picture(7, 0, "photos"))


def picture(number: int, domain: int, split: str, width: int = SIDE) -> np.ndarray:
    """A picture (SIDE, width, 3) of waves and a block, drawn differently in each domain; whole numbers throughout."""
    seed = number + 20 * ("train", "test", "attributes", "photos").index(split)
    y, x = np.mgrid[:SIDE, :width]
    waves = [
        (x * (3 + seed % 5) + y * (2 + seed % 7) + 40 * colour * (1 + seed % 3) + 31 * seed) for colour in range(3)
    ]
    drawn = np.abs(np.stack(waves, -1) % 256 - 128)
    across, down = 2 + seed * 5 % 12, 2 + seed * 7 % 12
    drawn[down : down + 8, across : across + 8] = (250, 60 + 3 * seed, 20)
    return np.uint8([drawn, 255 - (drawn**2 // 255)[..., ::-1], drawn * 2 % 256][domain])


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _describe(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.yaml").write_text(text)


# What is typed, here and in the test.


def resume(name: str, *more: object) -> tuple[object, ...]:
    run = f"runs/{name}"
    return ("train", f"{run}/recipe.yaml", "--out", run, "--resume", *ON_CPU, f"training.steps={RESUMED_TO}", *more)


def convert(model: str, name: str, output: str, *more: object) -> tuple[object, ...]:
    """The command that converts this run's pictures with `model`, a run or an export of it."""
    return ("convert", model, RUNS[name].photos, output, *EXACTLY, *more)


def towards(name: str) -> list[str]:
    return [word for target in RUNS[name].to for word in ("--to", target)]


CONVERTED_BEFORE = convert(
    "runs/cyclegan", "cyclegan", "converted/cyclegan", *towards("cyclegan"), "--manifest", "converted/cyclegan.jsonl"
)
"""The conversion that a later version goes on with."""


def sample(name: str, output: str) -> tuple[object, ...]:
    return ("sample", f"runs/{name}", output, "--count", 4, "--seed", 3, *ON_CPU)


def evaluate(name: str, *more: object) -> tuple[object, ...]:
    return ("evaluate", f"runs/{name}", *ON_CPU, *more)


def compare(output: str) -> tuple[object, ...]:
    return ("compare", *(f"runs/{name}" for name in COMPARED), "--json", output)


def logged(run: Path) -> list[dict[str, float]]:
    """What a run has logged since it was resumed, without times."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [{key: value for key, value in row.items() if key != "time"} for row in rows]
    return [row for row in rows if row["step"] > STEPS]


# A classifier is too large to be committed; its weights are numbers that anyone can make again.


def fill_classifiers(folder: Path) -> None:
    """Gives each classifier in the folder, of which the facts are left, weights that are made up."""
    for facts in folder.glob("*/facts.json"):
        said = json.loads(facts.read_text())
        save_file(made_up(len(said["domains"])), facts.parent / "weights.safetensors")


def made_up(classes: int) -> dict[str, np.ndarray]:
    """The state of a ResNet-18 with weights that look random."""
    bits = np.random.PCG64(0)
    return {name: _made_up(name, shape, bits) for name, shape in _resnet18(classes)}


def _made_up(name: str, shape: tuple[int, ...], bits: np.random.PCG64) -> np.ndarray:
    if not shape:
        return np.array(100, np.int64)
    if len(shape) == 1:  # of norms, and the last bias
        return np.full(shape, name.endswith(("running_var", "weight")), np.float32)
    raw = bits.random_raw(int(np.prod(shape))) >> np.uint64(40)  # 24 bits: exact in float32
    fan = int(np.prod(shape[1:]))
    return ((raw.astype(np.float32) - 2**23) * np.float32(2.0**-23 * (6 / fan) ** 0.5)).reshape(shape)


def _resnet18(classes: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _layer("conv1", "bn1", 3, 64, 7)
    before = 64
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            yield from _layer(f"layer{stage}.{block}.conv1", f"layer{stage}.{block}.bn1", before, width, 3)
            yield from _layer(f"layer{stage}.{block}.conv2", f"layer{stage}.{block}.bn2", width, width, 3)
            if before != width:
                down = f"layer{stage}.{block}.downsample"
                yield from _layer(f"{down}.0", f"{down}.1", before, width, 1)
            before = width
    yield "fc.weight", (classes, 512)
    yield "fc.bias", (classes,)


def _layer(convolution: str, norm: str, before: int, width: int, kernel: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{convolution}.weight", (width, before, kernel, kernel)
    yield from ((f"{norm}.{key}", (width,)) for key in ("weight", "bias", "running_mean", "running_var"))
    yield f"{norm}.num_batches_tracked", ()


# The making.


def main(folder: Path) -> None:
    """Makes everything anew in FOLDER, with whatever version of `translate` this Python finds."""
    folder.mkdir(parents=True)
    typed = Typed(folder)
    make_data(folder)
    for name, run in RUNS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(run.recipe)), sort_keys=False))
        data = ("--data", f"data/{run.images}", "--wandb", "disabled")
        typed("train", f"{name}.yaml", *data, "--out", f"runs/{name}", *ON_CPU)
    (folder / "expected").mkdir()
    _evaluate(typed)
    _convert(typed)
    _resume(typed)
    _print_recipes(typed)
    for name in {*RUNS} - WITH_REPORT:  # they are large
        (folder / f"runs/{name}/report.html").unlink()
    for made in (*folder.glob("*.yaml"), *(folder / name for name in ("data", "photos", "slices", "home"))):
        shutil.rmtree(made) if made.is_dir() else made.unlink()


class Typed:
    """Types commands in a folder, with a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: object) -> str:
        home = {"TRANSLATE_HOME": str(self.folder.absolute() / "home"), "OMP_NUM_THREADS": "1"}
        line = [sys.executable, "-m", "translate", *map(str, words)]
        print(*line[2:], flush=True)
        done = subprocess.run(line, cwd=self.folder, env=os.environ | home, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


def _evaluate(typed: Typed) -> None:
    """Twice: the classifiers that are trained at first keep their facts and get weights that can be made again."""
    for name in EVALUATED:
        typed(*evaluate(name))
    fill_classifiers(typed.folder / "home/classifiers")
    for path in typed.folder.glob("home/classifiers/*/facts.json"):
        weights = (path.parent / "weights.safetensors").read_bytes()
        facts = json.loads(path.read_text()) | {"sha256": hashlib.sha256(weights).hexdigest()}
        path.write_text(json.dumps(facts, indent=1) + "\n")
        kept = typed.folder / path.relative_to(typed.folder / "home")
        kept.parent.mkdir(parents=True)
        shutil.copy(path, kept)
    for name in EVALUATED:
        typed(*evaluate(name))
    typed(*compare("expected/compare.json"))


def _convert(typed: Typed) -> None:
    for name in CONVERTING:
        typed(*convert(f"runs/{name}", name, f"expected/{name}", *towards(name)))
    for name in DRAWING:
        typed(*sample(name, f"expected/{name}"))
    for name in EXPORTED:
        typed("export", f"runs/{name}", f"exported/{name}.onnx", *towards(name))
        typed("export", f"runs/{name}", f"exported/{name}-hub", "--format", "hub")
    typed(
        *convert(
            "runs/cyclegan", "cyclegan", "expected/cyclegan-step-2", *towards("cyclegan"), "--checkpoint", STEPS // 2
        )
    )
    typed(*CONVERTED_BEFORE)


def _resume(typed: Typed) -> None:
    shutil.copytree(typed.folder / "runs", typed.folder / "begun")
    for name in RUNS:
        typed(*resume(name))
        rows = "".join(json.dumps(row) + "\n" for row in logged(typed.folder / "runs" / name))
        (typed.folder / f"expected/{name}.jsonl").write_text(rows)
    shutil.rmtree(typed.folder / "runs")
    (typed.folder / "begun").rename(typed.folder / "runs")


def _print_recipes(typed: Typed) -> None:
    names = [line.split()[0] for line in typed("recipes").splitlines()]
    (typed.folder / "expected/recipes.yaml").write_text("---\n".join(typed("recipes", name) for name in names))
    (typed.folder / "expected/recipe_keys.txt").write_text("".join(f"{key}\n" for key in recipe_keys()))


def recipe_keys() -> list[str]:
    """Every key that a recipe may have, and every choice: `model[cyclegan].generator[resnet].upsampling=resize`, ..."""
    import translate

    schema = translate.Recipe.model_json_schema()
    return sorted(set(_keys(schema, schema, "")))


def _keys(node: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    for branch in (*node.get("oneOf", ()), *node.get("anyOf", ()), *filter(None, [node.get("items")])):
        yield from _keys(branch, schema, path)
    yield from (f"{path}={choice}" for choice in (*node.get("enum", ()), *filter(None, [node.get("const")])))
    own = node.get("properties", {})
    kind = "".join(f"[{value['const']}]" for value in own.values() if "const" in value)
    for name, value in own.items():
        key = f"{path}{kind}.{name}".removeprefix(".")
        yield key
        yield from _keys(value, schema, key)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
