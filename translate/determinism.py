"""Whether CUDA may take faster kernels whose last bits differ from run to run."""

from __future__ import annotations

import os

import torch


def use_deterministic_kernels() -> None:
    """Same seed, same machine, same bits, on CUDA too.

    There the same seed otherwise gives the same order and dice, but not the same bits: cuDNN's gradients of
    convolutions, and scattered sums (reflection padding, bilinear resizing, indexing), add up in the order in which
    threads arrive. On the CPU every kernel is deterministic for a given number of threads.

    These here are slower. torch warns, naming it, of an operation that has no deterministic kernel.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    # cuBLAS reads it at its first call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
