"""Building blocks of generators and discriminators: normalisation, resampling, initial weights.

Feature maps are (batch, channels, height, width) throughout, in either memory format.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from translate.networks.conv_as_matmul import ConvTranspose2d

Normalisation = Literal["instance", "affine_instance", "batch", "none"]
Upsampling = Literal["transposed", "resize", "pixel_shuffle", "blur"]
Downsampling = Literal["strided", "blur"]
Padding = Literal["reflect", "replicate", "zeros"]
Initialisation = Literal["normal", "xavier", "kaiming", "orthogonal"]
Layer = TypeVar("Layer", bound=nn.Module)


class InstanceNorm2d(nn.Module):
    """(x - mean) / sqrt(variance + eps) over height and width, per map and image (Ulyanov et al. 2016).

    Uses the biased variance and the image's own statistics, in training and evaluation alike, computed in float32 for
    half-precision input. `affine`: a learnt weight and bias per channel. Keeps the input's memory format. A map of one
    pixel becomes 0 (plus the bias), where torch's own layer raises.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, channels: int, affine: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.register_parameter("weight", nn.Parameter(torch.ones(channels)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(channels)) if affine else None)

    def forward(self, features: Tensor) -> Tensor:
        # torch's instance norm views the batch as one image: at batch 1 on CPU a channels_last gradient comes back
        # wrong (torch 2.15), and channels_last input is copied to NCHW everywhere. Batch norm of one image is
        # the same function without the view, so torch's own stays for NCHW batches on accelerators.
        if len(features) > 1 and features.device.type != "cpu" and features.is_contiguous():
            # Unlike F.instance_norm, this accepts maps of one pixel.
            cudnn = torch.backends.cudnn.enabled
            return torch.instance_norm(features, self.weight, self.bias, None, None, True, 0.0, self.eps, cudnn)
        each = [_batch_norm(image, self.weight, self.bias, self.eps) for image in features.split(1)]
        return each[0] if len(each) == 1 else torch.cat(each)

    def extra_repr(self) -> str:
        return f"{self.channels}, affine={self.weight is not None}, eps={self.eps}"


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that accepts one value per channel even in training; the output is then the bias.

    A single value has no variance, so it does not enter the running statistics. `gather`, if set, maps a tensor to
    those of all processes (processes, ...); training then uses the joint statistics of their batches.
    """

    gather: Callable[[Tensor], Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        if self.training and self.gather:
            return _normalised_together(self, input, self.gather)
        if self.training and input.numel() == input.shape[1]:
            return _batch_norm(input, self.weight, self.bias, self.eps)
        return super().forward(input)


def normalisation(kind: Normalisation, channels: int) -> nn.Module:
    """The normalisation layer of that kind: "affine_instance" has weights (original Torch code), "instance" has none
    (PyTorch port)."""
    if kind == "batch":
        return BatchNorm2d(channels)
    if kind == "none":
        return nn.Identity()
    return InstanceNorm2d(channels, affine=kind == "affine_instance")


def needs_bias(kind: Normalisation) -> bool:
    """Whether a convolution before that layer has a bias.

    As published: no bias before batch norm, which has its own; a bias before instance norm, affine or not, where it has
    no effect but is part of the published weights.
    """
    return kind != "batch"


class PaddedConv2d(nn.Conv2d):
    """nn.Conv2d, padded by `continued`; `padding` is the same at every edge."""

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode == "zeros":
            return super().forward(input)
        padded = continued(input, int(self.padding[0]), self.padding_mode)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def continued(features: Tensor, margin: int, mode: str) -> Tensor:
    """Pads the features by `margin` pixels at every edge, keeping their number format."""
    if features.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # Autocast would pad in float32: two casts and twice the memory for the same numbers.
        with torch.autocast("cpu", enabled=False):
            return F.pad(features, (margin,) * 4, mode=mode)
    return F.pad(features, (margin,) * 4, mode=mode)


class ResizeConv2d(nn.Conv2d):
    """Doubles the size by `mode` interpolation, then convolves."""

    def __init__(self, channels_in: int, channels_out: int, bias: bool, mode: Literal["nearest", "bilinear"]) -> None:
        super().__init__(channels_in, channels_out, 3, padding=1, bias=bias)
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.interpolate(input, scale_factor=2, mode=self.mode))


class SubpixelConv2d(nn.Conv2d):
    """A convolution to four times the channels, which are rearranged to 2x2 blocks of pixels (Shi et al. 2016)."""

    def __init__(self, channels_in: int, channels_out: int, bias: bool) -> None:
        super().__init__(channels_in, 4 * channels_out, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(super().forward(input), 2)


class BlurPool2d(nn.Module):
    """Halves the size with a [1, 2, 1] x [1, 2, 1] / 16 filter of stride 2, reflecting edges (Zhang 2019)."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("kernel", torch.outer(taps, taps)[None, None], persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        channels = features.shape[1]
        padded = continued(features, 1, "reflect")
        kernel = self.kernel.to(features.dtype).expand(channels, 1, 3, 3)
        return F.conv2d(padded, kernel, stride=2, groups=channels)


def upsampling_conv(
    kind: Upsampling, channels_in: int, channels_out: int, bias: bool, kernel: Literal[3, 4] = 3
) -> nn.Module:
    """A convolution that doubles height and width; `kernel` is that of the transposed convolution.

    "transposed" is the published one; "resize" (nearest, Odena et al. 2016) and "pixel_shuffle" avoid its checkerboard
    artefacts; "blur" is CUT's anti-aliased one, whose [1, 3, 3, 1] filter is bilinear interpolation.
    """
    if kind == "transposed":
        return ConvTranspose2d(
            channels_in, channels_out, kernel, stride=2, padding=1, output_padding=4 - kernel, bias=bias
        )
    if kind == "pixel_shuffle":
        return SubpixelConv2d(channels_in, channels_out, bias)
    return ResizeConv2d(channels_in, channels_out, bias, mode="bilinear" if kind == "blur" else "nearest")


def named(**layers: nn.Module) -> nn.Sequential:
    """A sequence of layers with these names in the state dict."""
    return nn.Sequential(OrderedDict(layers))


def beside(features: Tensor, labels: Tensor) -> Tensor:
    """Appends each of the labels (batch, n) to features (batch, f, height, width) as a constant plane: (batch, f + n,
    ...)."""
    planes = labels.to(features.dtype)[:, :, None, None].expand(-1, -1, *features.shape[2:])
    return torch.cat([features, planes], 1)


def layers_of(network: nn.Module, *kinds: type[Layer]) -> list[Layer]:
    """The network's layers of these kinds, in its order."""
    return [module for module in network.modules() if isinstance(module, kinds)]


def layer_by_layer(layers: Iterable[nn.Module], features: Tensor) -> list[Tensor]:
    """What each of the layers makes of what the one before makes, the first of `features`."""
    return [*accumulate(layers, lambda inner, layer: layer(inner), initial=features)][1:]


@torch.no_grad()
def initialise(network: nn.Module, kind: Initialisation = "normal", gain: float = 0.02) -> None:
    """Draws new weights, in place, as published, from torch's global random state.

    Convolutions and linear layers: mean 0 and standard deviation `gain` for "normal"; `gain` scales "xavier" and
    "orthogonal", and has no effect on "kaiming". Weights of instance and batch norm: mean 1 and standard deviation
    `gain`, whatever the kind. Biases of all these become 0. Other layers, e.g. `LayerNorm2d`, stay unchanged. Spectral
    norms are set up again for the new weights.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            spectral = is_parametrized(module, "weight")
            if spectral:  # the weight before normalisation is the one to draw
                remove_parametrizations(module, "weight", leave_parametrized=False)
            _draw(module.weight, kind, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            if spectral:
                spectral_norm(module)
        elif isinstance(module, InstanceNorm2d | nn.BatchNorm2d):
            if module.weight is not None:
                nn.init.normal_(module.weight, 1.0, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _draw(weight: Tensor, kind: Initialisation, gain: float) -> None:
    if kind == "normal":
        nn.init.normal_(weight, 0.0, gain)
    elif kind == "xavier":
        nn.init.xavier_normal_(weight, gain)
    elif kind == "kaiming":
        nn.init.kaiming_normal_(weight)
    elif kind == "orthogonal":
        nn.init.orthogonal_(weight, gain)
    else:
        raise ValueError(f"initialisation {kind!r}: expected normal, xavier, kaiming or orthogonal")


def _normalised_together(norm: BatchNorm2d, features: Tensor, gather: Callable[[Tensor], Tensor]) -> Tensor:
    """Normalises by the joint statistics of all processes' batches, which have the same size."""
    # SyncBatchNorm supports neither CPUs nor second derivatives.
    wide = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
    variance, mean = torch.var_mean(wide, (0, 2, 3), correction=0)
    means, variances = gather(torch.stack([mean, variance], 1)).unbind(-1)
    mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
    if norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None:
        values = len(means) * wide.numel() / wide.shape[1]
        norm.num_batches_tracked.add_(1)
        norm.running_mean.lerp_(mean.detach(), norm.momentum or 0.0)
        norm.running_var.lerp_(variance.detach() * values / (values - 1), norm.momentum or 0.0)
    scale = torch.rsqrt(variance + norm.eps) * (1 if norm.weight is None else norm.weight)
    shift = (0 if norm.bias is None else norm.bias) - mean * scale
    return (wide * scale[:, None, None] + shift[:, None, None]).to(features.dtype)


def _batch_norm(features: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Normalises by the batch's own statistics; unlike F.batch_norm it accepts one value per channel."""
    if features.dtype in (torch.bfloat16, torch.float16):
        # The CPU kernel keeps mean and variance in the precision of the weights, or without weights in the input's.
        channels = features.shape[1]
        weight = features.new_ones(channels, dtype=torch.float32) if weight is None else weight.float()
        bias = features.new_zeros(channels, dtype=torch.float32) if bias is None else bias.float()
    return torch.batch_norm(features, weight, bias, None, None, True, 0.0, eps, torch.backends.cudnn.enabled)
