"""How a step runs (device, precision, memory format, fusion, compilation), never what it computes."""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from translate.data.batch import Batch
from translate.errors import ConfigurationError, nearest
from translate.networks.conv_as_matmul import set_conv_as_matmul

Precision = Literal["auto", "float32", "bf16"]
AnyBatch = TypeVar("AnyBatch", bound=Batch)
OLD_NAMES = {"products": "conv-as-matmul", "captured": "cuda-graphs"}
"""What options of `--runtime` were called in 0.1, and are still called in commands that were written down."""


@dataclass(frozen=True)
class Runtime:
    """Where a step runs and which optimisations it uses. Weights, optimizers and losses stay in float32.

    `bf16`: matrix products and convolutions in bfloat16. `channels_last`: images and weights in that memory format.
    `fused`: Adam in one pass over the weights. `conv_as_matmul`: convolutions over small maps as matrix products (CPU
    only). `compiled`: generators go through torch.compile. `cuda_graphs`: a training step is recorded as CUDA graphs
    and replayed (CUDA only).
    """

    device: torch.device
    bf16: bool = False
    channels_last: bool = False
    fused: bool = True
    conv_as_matmul: bool = False
    compiled: bool = False
    cuda_graphs: bool = False

    def place(self, batch: AnyBatch) -> AnyBatch:
        """Moves a batch to the device: integer images become float32 in [-1, 1], label maps planes of classes, in the
        runtime's memory format. What is no image, and points, which are floating point already, are only moved."""
        moved = batch.map(lambda values: values.to(self.device, non_blocking=True))
        return moved.floats(self.layout)

    def layout(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=self.memory_format)

    def adopt(self, model: nn.Module) -> None:
        """Moves a model to the device and puts its convolutions' weights into the runtime's memory format."""
        model.to(self.device, memory_format=self.memory_format)  # type: ignore[call-overload]
        set_conv_as_matmul(model, self.conv_as_matmul)

    def adopt_trained(self, model: nn.Module) -> None:
        """Adopts a model for inference: weights of convolutions and linear layers are cast to bf16 once, where autocast
        would at every call, with the same numbers; those that are normalised at each call (spectral norm) stay."""
        self.adopt(model)
        for module in model.modules() if self.bf16 else ():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and not is_parametrized(module):
                module.to(torch.bfloat16)

    def compile(self, networks: Iterable[nn.Module]) -> None:
        """Compiles the parts of each network if `compiled` is on; one that cannot be raises when it first runs.

        Not for discriminators: torch.compile cannot differentiate the gradient of a penalty a second time.
        """
        if not self.compiled:
            return
        import torch._dynamo.config

        # Each part has its own variants with and without gradients, in training and in evaluation.
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
        for part in (part for network in networks for part in _parts(network)):
            part.compile(fullgraph=True)  # fullgraph: never falls back to eager silently, not even at that limit

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @property
    def precision(self) -> str:
        return "bf16" if self.bf16 else "float32"

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else str(self.device)
        count = torch.get_num_threads()
        threads = f", {count} thread{'s' * (count > 1)}" if self.device.type == "cpu" else ""
        layout = "channels last" if self.channels_last else "channels first"
        others = {
            "fused Adam": self.fused,
            "conv as matmul": self.conv_as_matmul,
            "compiled": self.compiled,
            "CUDA graphs": self.cuda_graphs,
        }
        return ", ".join([f"{name}{threads}", self.precision, layout, *(option for option, on in others.items() if on)])


OPTIONS = [field.name.replace("_", "-") for field in fields(Runtime) if field.name != "device"]
"""What `--runtime` can switch."""


def choose_device(name: str) -> torch.device:
    """Resolves `auto` (cuda, else mps, else cpu), `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises ConfigurationError for an unknown or absent device: a requested device is never silently replaced.
    """
    if name == "auto":
        found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(found)
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigurationError(f"--device {name}: expected auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"--device {name}: {torch.cuda.device_count()} CUDA devices are visible; use --device cpu, or check "
            "the driver and CUDA_VISIBLE_DEVICES"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigurationError(f"--device {name}: no Apple GPU is available here; use --device cpu")
    return device


def choose_runtime(device: str = "auto", precision: Precision = "auto", options: str = "auto") -> Runtime:
    """Chooses how to run on `device`.

    `options` starts with `auto`, the fastest configuration known to be correct (bf16 where the processor's matrix units
    support it, channels last, fused Adam, and convolutions over small maps as matrix products on a CPU), or with
    `plain`, none of them. Then follow single options, NAME or no-NAME, separated by commas: `auto,cuda-graphs`,
    `auto,no-bf16`. A `precision` other than auto decides about bf16 under `auto`. Raises ConfigurationError for unknown
    names and for options the device does not support.
    """
    chosen = choose_device(device)
    base, *named = options.split(",")
    if base not in ("auto", "plain"):
        raise ConfigurationError(f"--runtime {options}: expected auto or plain first, e.g. auto,no-bf16")
    runtime = Runtime(chosen, fused=False) if base == "plain" else _fastest(chosen, precision)
    for name in named:
        option = name.removeprefix("no-")
        option = OLD_NAMES.get(option, option)
        if option not in OPTIONS:
            raise ConfigurationError(f"--runtime {options}: no option '{option}'{nearest(option, OPTIONS)}")
        runtime = replace(runtime, **{option.replace("-", "_"): not name.startswith("no-")})  # type: ignore[arg-type]
    if runtime.cuda_graphs and chosen.type != "cuda":
        raise ConfigurationError(f"--runtime {options}: CUDA graphs need a CUDA device, this is {chosen}")
    if runtime.conv_as_matmul and chosen.type != "cpu":
        raise ConfigurationError(f"--runtime {options}: conv-as-matmul is for a CPU, this is {chosen}")
    if runtime.fused and chosen.type == "mps":
        raise ConfigurationError(f"--runtime {options}: fused Adam is for cpu and cuda, this is {chosen}")
    return runtime


def _fastest(device: torch.device, precision: Precision) -> Runtime:
    bf16 = precision == "bf16" or (precision == "auto" and _has_fast_bf16(device))
    on_mps = device.type == "mps"
    return Runtime(device, bf16=bf16, channels_last=not on_mps, fused=not on_mps, conv_as_matmul=device.type == "cpu")


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    """The submodules that are certainly called as such; a network itself may be entered by other methods."""
    children = list(network.children())
    for child in children:
        if isinstance(child, nn.ModuleList | nn.ModuleDict):
            yield from _parts(child)
        else:
            yield child
    if not children:
        yield network


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def use_deterministic_kernels() -> None:
    """Makes the same seed on the same machine give the same bits on CUDA, too, where this is slower.

    Without it, cuDNN's gradients of convolutions and scattered sums (reflection padding, bilinear resizing, indexing)
    add up in the order in which threads arrive. torch warns about each operation that has no such kernel, by name.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    # cuBLAS reads this at its first call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
