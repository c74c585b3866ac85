"""Maps each of torch's operations to its rule for a `RowMap`: which rows of the input the rows of the output need.

The operations are those into which torch decomposes a network (`torch.ops.aten`). One without a rule is an error, never
a guess.
"""

from collections.abc import Callable
from typing import Any

import torch

from translate.inference.tiling import all_pixels, neighbours, single_pixels

aten = torch.ops.aten


RULES: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(
        (
            aten.relu.default,
            aten.leaky_relu.default,
            aten.silu.default,
            aten.tanh.default,
            aten.atanh.default,
            aten.mul.Tensor,
            aten.sub.Tensor,
            aten.clamp.default,
        ),
        single_pixels.pixelwise,
    ),
    aten.add.Tensor: single_pixels.summed,
    aten.relu_.default: single_pixels.relu_in_place,
    aten._to_copy.default: single_pixels.cast,
    **dict.fromkeys(
        (aten.clone.default, aten.view.default, aten.alias.default, aten.detach.default, aten._unsafe_view.default),
        single_pixels.same,
    ),
    aten.cat.default: single_pixels.concatenated,
    aten.split.Tensor: single_pixels.split,
    **dict.fromkeys(
        (aten.new_zeros.default, aten.new_ones.default, aten.new_full.default, aten.empty_like.default),
        single_pixels.made_like,
    ),
    aten.native_dropout.default: single_pixels.dropout,
    aten.convolution.default: neighbours.convolution,
    aten.reflection_pad2d.default: neighbours.reflected,
    aten.replication_pad2d.default: neighbours.replicated,
    aten.constant_pad_nd.default: neighbours.zero_padded,
    aten.upsample_nearest2d.default: neighbours.nearest,
    aten.upsample_bilinear2d.default: neighbours.enlarged,
    aten.pixel_shuffle.default: neighbours.shuffled,
    aten.avg_pool2d.default: neighbours.averaged,
    aten._upsample_bilinear2d_aa.default: all_pixels.whole,
    **dict.fromkeys(
        (aten.native_batch_norm.default, aten.cudnn_batch_norm.default, aten.miopen_batch_norm.default),
        all_pixels.batch_norm,
    ),
    aten.native_group_norm.default: all_pixels.group_norm,
}
