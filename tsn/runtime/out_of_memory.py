"""Turn out-of-memory errors into a UserError with advice."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tsn.runtime.errors import UserError

CPU_ALLOCATION = "DefaultCPUAllocator"
"""In PyTorch's message when an allocation on the CPU fails (c10/core/impl/alloc_cpu.cpp)."""


@contextmanager
def oom_as_user_error(advice: str) -> Iterator[None]:
    """Turn the block's out-of-memory errors into a `UserError`.

    Args:
        advice: what makes the work smaller, e.g. "lower training.micro_batch".
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(f"the GPU's memory is full: {advice} ({_first_line(error)})") from error
    except MemoryError as error:
        raise UserError(f"memory is full: {advice}, or give the job more") from error
    except RuntimeError as error:
        if CPU_ALLOCATION not in str(error):
            raise
        message = f"memory is full: {advice}, or give the job more ({_first_line(error)})"
        raise UserError(message) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
