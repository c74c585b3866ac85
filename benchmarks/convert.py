"""Converting a folder of JPEG files: images a second end to end, and seconds of each stage, beside the plain way.

    python benchmarks/convert.py [--images 24] [--rounds 3] [--device cpu] [--batch 1] [--backend openvino]

`plain`: one image at a time, Pillow and torchvision transforms, nn.InstanceNorm2d, float32, NCHW, eager, Pillow's
encoder, nothing beside it. All rows have the same resnet_9blocks with the same random weights, read the same files and
write JPEG of the same quality; they take turns in every round, and medians are told. `alone`: one stage after the
other. `busy`: the network's share of the time, end to end. `of the limit`: the network's arithmetic over that of large
matrix products in the number format that is fastest in them. `differs`: of the network's output from plain's at most,
in levels of 255.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from common import matrix_rate, report
from translate.data.io.images import read, to_float, write
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.formats.exported import Description, read_exported
from translate.inference.formats.graphs import TranslationGraph, trace
from translate.inference.formats.onnx import write as write_onnx
from translate.inference.jobs import plan
from translate.inference.options import Backend, OutputOptions
from translate.models.base import ImageSpec, Request
from translate.models.cyclegan import CycleGAN
from translate.recipe import load_recipe
from translate.training.estimate import flops_of
from translate.training.runtime import choose_device, choose_runtime
from translate.version import __version__

SPEC = ImageSpec(3, 256, ("a", "b"))
QUALITY = 95
STAGES = ("decode", "network", "encode")
Stages = dict[str, float]


class Ours:
    """`translate convert`: `run` is the whole command's work; `stages` the same functions one after the other."""

    def __init__(self, converter: Converter, batch: int, workers: int) -> None:
        self.converter, self.batch, self.workers = converter, batch, workers
        self.request = converter.request("b")

    def run(self, inputs: Path, outputs: Path) -> None:
        outcome = convert_folder(
            self.converter, plan(inputs, outputs), self.request, OutputOptions(workers=self.workers, batch=self.batch)
        )
        assert outcome.counts["written"] == len(list(inputs.iterdir())), outcome.failed

    def stages(self, inputs: Path, outputs: Path) -> Stages:
        """Seconds for an image."""
        paths = sorted(inputs.iterdir())[: 2 * self.batch if self.batch > 1 else 6]
        decode, pictures = _timed(lambda: [read(path) for path in paths])
        batches = [pictures[first : first + self.batch] for first in range(0, len(pictures), self.batch)]
        network, converted = _timed(
            lambda: [picture for batch in batches for picture in self.converter.convert_pictures(batch, self.request)]
        )
        outputs.mkdir()
        pairs = list(zip(paths, converted, strict=True))
        encode, _ = _timed(lambda: [write(outputs / path.name, picture, QUALITY) for path, picture in pairs])
        return {"decode": decode / len(paths), "network": network / len(paths), "encode": encode / len(paths)}

    def generate(self, image: Tensor) -> Tensor:
        return self.converter.convert_floats(image, self.request).cpu()


class Plain:
    """What a script does that its author wrote in an hour."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        from torchvision import transforms

        self.network, self.device = network.to(device), device
        self.prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])

    def run(self, inputs: Path, outputs: Path) -> None:
        outputs.mkdir()
        for path in sorted(inputs.iterdir()):
            self._encode(outputs / path.name, self._convert(self._decode(path)))

    def stages(self, inputs: Path, outputs: Path) -> Stages:
        outputs.mkdir()
        seconds = dict.fromkeys(STAGES, 0.0)
        paths = sorted(inputs.iterdir())[:4]
        for path in paths:
            decode, image = _timed(lambda path=path: self._decode(path))
            network, output = _timed(lambda image=image: self._convert(image))
            encode, _ = _timed(lambda path=path, output=output: self._encode(outputs / path.name, output))
            for stage, spent in zip(STAGES, (decode, network, encode), strict=True):
                seconds[stage] += spent / len(paths)
        return seconds

    def generate(self, image: Tensor) -> Tensor:
        with torch.no_grad():
            return self.network(image.to(self.device)).cpu()

    def _decode(self, path: Path) -> Tensor:
        return self.prepare(Image.open(path).convert("RGB"))[None]

    def _convert(self, image: Tensor) -> np.ndarray:
        output = self.generate(image)[0]
        return ((output.permute(1, 2, 0).numpy() + 1) / 2 * 255).astype(np.uint8)

    def _encode(self, path: Path, pixels: np.ndarray) -> None:
        Image.fromarray(pixels).save(path, quality=QUALITY, subsampling=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--data", type=Path, help="folder of JPEG files of equal size; default noise like photos', 256 px"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--backend", nargs="*", choices=["onnxruntime", "openvino"], default=[], help="others to run ours on"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--small", action="store_true", help="a small network, to see that all of it runs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = contenders(options)
    with tempfile.TemporaryDirectory() as temporary:
        inputs = Path(temporary, "inputs")
        fill(inputs, options.data, options.images)
        table = measure(rows, inputs, Path(temporary), options.rounds)
    device = choose_device(options.device)
    flops = flops_of(lambda: rows["plain"].generate(torch.zeros(1, 3, SPEC.size, SPEC.size)))
    rates = {kind: matrix_rate(device, getattr(torch, kind)) for kind in ("float32", "bfloat16")}
    for row in table:
        row["of the limit"] = flops / row["network, s"] / max(rates.values())
    facts = {"GFLOP an image": flops / 1e9, "matrix FLOP/s": rates}
    report("convert", device, table, options.json, settings=vars(options), **facts)


def contenders(options: argparse.Namespace) -> dict[str, Ours | Plain]:
    torch.manual_seed(0)
    filters, blocks = (4, 1) if options.small else (64, 9)
    recipe = load_recipe("cyclegan", [f"model.generator.filters={filters}", f"model.generator.blocks={blocks}"])
    model = CycleGAN(recipe.model, SPEC)
    plain = plain_resnet(filters, blocks)
    plain.load_state_dict(dict(zip(plain.state_dict(), model.generator_b.state_dict().values(), strict=True)))
    device = choose_runtime(options.device, "float32").device
    rows: dict[str, Ours | Plain] = {"plain": Plain(plain, device)}
    for precision in ("float32", "auto"):
        runtime = choose_runtime(options.device, precision)  # type: ignore[arg-type]
        name = f"ours, {'bf16' if runtime.bf16 else 'float32'}"
        rows[name] = Ours(Converter(copy.deepcopy(model), SPEC, runtime), options.batch, options.workers)
    for name in options.backend:
        rows[f"ours, {name}"] = Ours(on_backend(name, model), options.batch, options.workers)
    return rows


def on_backend(name: Backend, model: CycleGAN) -> Converter:
    """A converter that runs `model` elsewhere than in torch, in the number format that is the default there."""
    described = Description("cyclegan", SPEC.domains, "b", SPEC.channels, model.stride, "floats", __version__)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cyclegan.onnx")
        write_onnx(trace(TranslationGraph(model, Request.to(1), SPEC.channels)), path, described)
        return Converter(*read_exported(path, name))


def plain_resnet(filters: int, blocks: int) -> nn.Sequential:
    """The generator as its authors' layers write it down."""

    def stage(conv: nn.Module, channels: int) -> list[nn.Module]:
        return [conv, nn.InstanceNorm2d(channels), nn.ReLU(True)]

    layers = [nn.ReflectionPad2d(3), *stage(nn.Conv2d(3, filters, 7), filters)]
    for width in (filters, 2 * filters):
        layers += stage(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), 2 * width)
    layers += [_Residual(4 * filters) for _ in range(blocks)]
    for width in (4 * filters, 2 * filters):
        layers += stage(nn.ConvTranspose2d(width, width // 2, 3, 2, padding=1, output_padding=1), width // 2)
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(filters, 3, 7), nn.Tanh())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()

        def half() -> list[nn.Module]:
            return [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]

        self.inner = nn.Sequential(*half(), nn.ReLU(True), *half())

    def forward(self, features: Tensor) -> Tensor:
        return features + self.inner(features)


def fill(folder: Path, data: Path | None, count: int) -> None:
    """`count` JPEG files: those of `data` over and over, or noise with the spectrum of photographs."""
    folder.mkdir()
    sources = sorted(data.glob("*.jpg")) if data else []
    if data and not sources:
        raise SystemExit(f"--data {data}: no .jpg files")
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / f"{index:05d}.jpg"
        if sources:
            path.write_bytes(sources[index % len(sources)].read_bytes())
        else:
            Image.fromarray(_like_a_photo(rng)).save(path, quality=90)


def _like_a_photo(rng: np.random.Generator, side: int = 256) -> np.ndarray:
    """Noise whose amplitude falls as 1 / frequency."""
    across = np.fft.fftfreq(side)
    frequency = np.hypot(across[:, None], across[None]) + 1 / side
    spectrum = np.fft.fft2(rng.normal(size=(3, side, side))) / frequency
    values = np.fft.ifft2(spectrum).real
    return ((values / values.std() * 50 + 128).clip(0, 255)).astype(np.uint8).transpose(1, 2, 0).copy()


def measure(rows: dict[str, Ours | Plain], inputs: Path, temporary: Path, rounds: int) -> list[dict[str, Any]]:
    count = len(list(inputs.iterdir()))
    image = to_float(torch.from_numpy(read(next(inputs.iterdir())).pixels).permute(2, 0, 1))[None]
    truth = rows["plain"].generate(image)
    differs = {name: float((row.generate(image) - truth).abs().max()) * 127.5 for name, row in rows.items()}
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    stages: dict[str, list[Stages]] = {name: [] for name in rows}
    for number in range(rounds):
        for index, (name, row) in enumerate(rows.items()):
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            stages[name].append(row.stages(inputs, temporary / f"stages-{number}-{index}"))
            seconds[name].append(_timed(lambda row=row, to=temporary / f"{number}-{index}": row.run(inputs, to))[0])
    table: list[dict[str, Any]] = []
    for name in rows:
        spent = {stage: median(one[stage] for one in stages[name]) for stage in STAGES}
        rate = count / median(seconds[name])
        table.append(
            {
                "way": name,
                "images/s": rate,
                "times plain": median(seconds["plain"]) / median(seconds[name]),
                **{f"{stage}, s": spent[stage] for stage in STAGES},
                "alone, images/s": 1 / sum(spent.values()),
                "busy": min(1.0, spent["network"] * rate),
                "differs": differs[name],
            }
        )
    return table


def _timed(work: Callable) -> tuple[float, object]:
    """What the work returns has left the device: no synchronisation is needed."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
