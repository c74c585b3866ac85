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
    """Whether `error` says that memory, of this machine or of a device, did not suffice.

    Python, NumPy and Pillow raise MemoryError and torch has a class for CUDA; all others only say so in the message.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, Exception) and any(words in str(error) for words in _MESSAGES)
