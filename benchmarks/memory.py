"""Peak memory of training each model, by engine and with gradient checkpointing; each in a process of its own.

    python benchmarks/memory.py --models cyclegan,pix2pix --sizes 128,256 --batches 1

On CUDA the peak of what torch allocated; on a CPU the growth of the process's resident memory over what it was before
the model was built (ru_maxrss). Three steps each. Prints Markdown and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from common import SMALL, build_model, place, random_batch, report, trainer_of
from translate.training.runtime import choose_device, choose_runtime

WAYS = {"plain": ("plain", False), "auto": ("auto", False), "checkpointing": ("auto", True)}
CHECKPOINTED = ("cyclegan", "pix2pix")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="cyclegan,pix2pix")
    parser.add_argument("--sizes", default="128,256")
    parser.add_argument("--batches", default="1")
    parser.add_argument("--ways", default=",".join(WAYS), help="rows of a model, by name; default all")
    parser.add_argument("--small", action="store_true", help=f"small networks, of {', '.join(SMALL)}")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = choose_device(options.device)
    if options.child:
        print(peak_mib(**json.loads(options.child), device=device))
        return
    rows = []
    for model in options.models.split(","):
        for size in map(int, options.sizes.split(",")):
            for batch in map(int, options.batches.split(",")):
                for way in options.ways.split(","):
                    how, checkpointing = WAYS[way]
                    if checkpointing and model not in CHECKPOINTED:
                        continue
                    case = {"name": model, "size": size, "batch": batch, "small": options.small}
                    case |= {"options": how, "checkpointing": checkpointing}
                    peak = _in_child(case, options.device)
                    rows.append({"model": model, "size": size, "batch": batch, "way": way, "peak MiB": peak})
                    print(rows[-1], file=sys.stderr, flush=True)
    report("memory", device, rows, options.json)


def _in_child(case: dict[str, Any], device: str) -> float:
    command = [sys.executable, __file__, "--device", device, "--child", json.dumps(case)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{run.stderr}")
    return float(run.stdout)


def peak_mib(
    name: str, size: int, batch: int, small: bool, options: str, checkpointing: bool, device: torch.device
) -> float:
    """Of this process, in MiB."""
    runtime = choose_runtime(str(device), options=options)
    settings = _checkpointed(name, small) if checkpointing else {}
    torch.ones(64, 64, device=device) @ torch.ones(64, 64, device=device)  # libraries are loaded before
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    trainer = trainer_of(build_model(name, size, small, settings), runtime)
    given = place(random_batch(trainer.model, size, batch), runtime)
    for _ in range(3):
        trainer.step(given)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return grown / (2**20 if sys.platform == "darwin" else 2**10)


def _checkpointed(name: str, small: bool) -> dict[str, Any]:
    kinds = {"cyclegan": "resnet", "pix2pix": "unet"}
    generator = SMALL[name]["generator"] if small else {"kind": kinds[name]}
    return {"generator": {**generator, "checkpointing": True}}


if __name__ == "__main__":
    main()
