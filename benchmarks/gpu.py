"""All that is to be known of a GPU in one call that always ends, with JSON and Markdown of what it found till then.

    python benchmarks/gpu.py --out results --data horse2zebra --minutes 9

Needs torch, torchvision, numpy, Pillow and OpenCV, and what `import translate` takes beside them: pydantic (with
pydantic-core, annotated-types, typing-inspection), PyYAML and safetensors. To a machine without a network those travel
as wheels: `pip download --no-deps -d wheels NAME ...` here, there
`pip install --no-index --no-deps --target site wheels/*.whl`, and `site` on PYTHONPATH.

Sections, each with a share of the minutes: matrix rates; rng of a replay; cuda_graphs against eager over 20 steps;
batches on a second stream; a spoilt step; steps; host work; calls joined; a short real training; conversion; memory;
normalisations; every option against float64.
A section that fails says why and the next one runs; exit code 1 then, or where a check is not right. What has no end of
its own is cut off when the minutes are over (exit code 3).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]
WHEELS = {
    "pydantic": "pydantic pydantic-core annotated-types typing-inspection",
    "yaml": "pyyaml",
    "safetensors": "safetensors",
}


def require_packages() -> None:
    """Exits, naming the wheels to carry, where a package that `import translate` takes is missing."""
    missing = [wheels for module, wheels in WHEELS.items() if importlib.util.find_spec(module) is None]
    if missing:
        sys.exit(f"gpu.py: missing here: {' '.join(missing)}. Carry them as wheels, see `python {__file__} --help`")


class Findings:
    """What was found till now; written after every section, and by the clock when time is over."""

    def __init__(self, out: Path, machine: Mapping[str, Any]) -> None:
        self.out, self.machine = out, dict(machine)
        self.sections: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def run(self, name: str, section: Callable[[], Any]) -> None:
        print(f"{name} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            found = section()
        except Exception:  # the next section may work, and what went wrong stands in the report
            found = {"failed": traceback.format_exc()}
        self.sections[name] = found
        self.seconds[name] = round(time.perf_counter() - start, 1)
        self.write()

    def write(self, note: str = "") -> None:
        from common import write_json

        with self._lock:
            found = {"machine": self.machine, "note": note, "seconds": self.seconds, "sections": dict(self.sections)}
            write_json(self.out / "gpu.json", found)
            (self.out / "gpu.md").write_text(self.markdown(note))

    def markdown(self, note: str = "") -> str:
        from common import markdown

        facts = "".join(f"- {name}: {value}\n" for name, value in self.machine.items())
        parts = [f"# GPU\n\n{facts}", note]
        for name, found in list(self.sections.items()):
            failed = isinstance(found, dict) and "failed" in found
            body = f"```\n{found['failed']}```\n" if failed else markdown(found)
            parts.append(f"## {name} ({self.seconds.get(name, 0)} s)\n\n{body}")
        return "\n".join(part for part in parts if part)

    @property
    def good(self) -> bool:
        rows = [row for found in self.sections.values() if isinstance(found, list) for row in found]
        failed = any(isinstance(found, dict) and "failed" in found for found in self.sections.values())
        return not failed and all(row.get("right", True) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "benchmarks/results")))
    parser.add_argument("--data", type=Path, help="a folder of trainA, trainB: horse2zebra; default a few pictures")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--tiny", action="store_true", help="small networks and pictures, to see that all of it runs")
    parser.add_argument("--compiled", action="store_true", help="torch.compile among the steps: minutes of compiling")
    options = parser.parse_args()
    require_packages()
    import torch

    import batching
    import gpu_checks
    import gpu_speed
    from common import machine, matrix_rate

    device = torch.device(options.device)
    small, total = options.tiny, 60 * options.minutes
    findings = Findings(options.out, machine(device))
    watch(findings, total)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # as the port and `translate train` have it
    rates: dict[str, float] = {}

    def matrices() -> list[dict[str, Any]]:
        rates.update({name: matrix_rate(device, getattr(torch, name)) for name in ("float32", "bfloat16")})
        return [{"dtype": name, "TFLOP/s": rate / 1e12} for name, rate in rates.items()]

    recorder = None if device.type == "cuda" else gpu_checks.Again()
    channels, side = (8, 16) if small else (256, 64)
    share = 1.0 if small else total / 9
    sections: dict[str, Callable[[], Any]] = {
        "matrix products": matrices,
        "dice of a replay": lambda: gpu_checks.dice_of_a_replay(device, recorder),
        "captured against eager": lambda: gpu_checks.captured_against_eager(device, 3 if small else 20),
        "batches on a second stream": lambda: gpu_checks.batches_on_a_second_stream(device),
        "a spoilt step moves nothing": lambda: gpu_checks.a_spoilt_step_moves_nothing(device),
        "steps": lambda: gpu_speed.steps(device, rates, 3 * share, small, options.compiled),
        "host work": lambda: gpu_speed.host_work(device, small),
        "joined calls": lambda: batching.measure(
            32 if small else 256, 1, device, 3 if small else 10, 15 * share, small
        ),
        "training": lambda: gpu_speed.training(device, options.data, small, 1.5 * share),
        "conversion": lambda: gpu_speed.conversion(device, small, share / 2),
        "memory": lambda: gpu_speed.memory(device, small),
        "normalisations": lambda: gpu_checks.normalisations(device, channels, side, share / 2),
        "options against float64": lambda: gpu_checks.options_against_float64(device, compiled=device.type == "cuda"),
    }
    for name, section in sections.items():
        findings.run(name, section)
    print(findings.markdown())
    sys.exit(0 if findings.good else 1)


def watch(findings: Findings, seconds: float) -> None:
    """Ends the process when the time is over, whatever hangs; what was found is on the disk by then."""

    def over() -> None:
        findings.write(note="**The time was over before all sections were.**\n")
        print(findings.markdown(), flush=True)
        os._exit(3)

    timer = threading.Timer(seconds, over)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main()
