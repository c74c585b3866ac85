"""Deterministic CUDA kernels: slower ones whose results are bit-identical from run to run."""

from __future__ import annotations

import os

import torch


def use_deterministic_kernels() -> None:
    """Makes the same seed on the same machine give the same bits, on CUDA too.

    Without this, the same seed on CUDA gives the same data order and random numbers, but not the same bits: cuDNN's
    gradients of convolutions and scattered sums (reflection padding, bilinear resizing, indexing) add up in the order
    in which threads arrive. On the CPU every kernel is deterministic for a given number of threads.

    Deterministic kernels are slower. torch warns about each operation that has none, by name.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    # cuBLAS reads this at its first call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
