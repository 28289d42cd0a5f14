"""Memory that does not suffice for a network: what to say and what helps."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tsn.runtime.errors import UserError

CPU_ALLOCATION = "DefaultCPUAllocator"
"""What PyTorch's message says when the machine gives no memory (c10/core/impl/alloc_cpu.cpp)."""


@contextmanager
def told_when_exhausted(less: str) -> Iterator[None]:
    """Turn the block's errors for want of memory into a `UserError`.

    Args:
        less: what makes the work smaller, e.g. "lower training.micro_batch".
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(f"the GPU's memory is full: {less} ({_first_line(error)})") from error
    except MemoryError as error:
        raise UserError(f"memory is full: {less}, or give the job more") from error
    except RuntimeError as error:
        if CPU_ALLOCATION not in str(error):
            raise
        message = f"memory is full: {less}, or give the job more ({_first_line(error)})"
        raise UserError(message) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
