"""Whether an error means that memory did not suffice, which each library says in its own way."""

import torch

_MESSAGES = (
    "DefaultCPUAllocator",  # torch on a CPU, on Linux and on Windows
    "can't allocate memory",
    "not enough memory",
    "backend out of memory",  # on Apple's GPU
    "ALLOC_FAILED",  # cuBLAS, cuDNN
    "bad_alloc",  # C++: ONNX Runtime, OpenVINO
    "bad allocation",
    "Failed to allocate memory",
    "Insufficient memory",  # OpenCV
    "could not create a memory",  # oneDNN
    "unable to mmap",
)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether `error` says that memory did not suffice: Python and torch have classes for it, others only words."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, Exception) and any(words in str(error) for words in _MESSAGES)
