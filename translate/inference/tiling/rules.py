"""Maps each of torch's operations to its rule for a `RowMap`: which rows of the input the rows of the output need.

The operations are those into which torch decomposes a network (`torch.ops.aten`). One without a rule is an error, never
a guess.
"""

from collections.abc import Callable
from typing import Any

import torch

from translate.inference.tiling.all_pixels import batch_norm, group_norm, whole
from translate.inference.tiling.neighbours import convolution, enlarged, reflected, replicated, shuffled, zero_padded
from translate.inference.tiling.single_pixels import (
    cast,
    concatenated,
    dropout,
    made_like,
    pixelwise,
    relu_in_place,
    same,
    split,
    summed,
)

aten = torch.ops.aten


RULES: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(
        (
            aten.relu.default,
            aten.leaky_relu.default,
            aten.tanh.default,
            aten.atanh.default,
            aten.mul.Tensor,
            aten.clamp.default,
        ),
        pixelwise,
    ),
    aten.add.Tensor: summed,
    aten.relu_.default: relu_in_place,
    aten._to_copy.default: cast,
    **dict.fromkeys(
        (aten.clone.default, aten.view.default, aten.alias.default, aten.detach.default, aten._unsafe_view.default),
        same,
    ),
    aten.cat.default: concatenated,
    aten.split.Tensor: split,
    **dict.fromkeys((aten.new_zeros.default, aten.new_ones.default, aten.empty_like.default), made_like),
    aten.native_dropout.default: dropout,
    aten.convolution.default: convolution,
    aten.reflection_pad2d.default: reflected,
    aten.replication_pad2d.default: replicated,
    aten.constant_pad_nd.default: zero_padded,
    aten.upsample_nearest2d.default: enlarged,
    aten.upsample_bilinear2d.default: enlarged,
    aten.pixel_shuffle.default: shuffled,
    aten._upsample_bilinear2d_aa.default: whole,
    **dict.fromkeys(
        (aten.native_batch_norm.default, aten.cudnn_batch_norm.default, aten.miopen_batch_norm.default), batch_norm
    ),
    aten.native_group_norm.default: group_norm,
}
