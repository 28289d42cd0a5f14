"""Memory that does not suffice is told in a sentence."""

import pytest
import torch

from tsn.runtime.errors import UserError
from tsn.runtime.out_of_memory import oom_as_user_error


def told(error: Exception) -> str:
    with pytest.raises(UserError) as caught, oom_as_user_error("lower it"):
        raise error
    return str(caught.value)


def test_memory_of_the_machine():
    with pytest.raises(UserError, match="full: lower it"), oom_as_user_error("lower it"):
        torch.empty(10**15)
    assert told(MemoryError()) == "memory is full: lower it, or give the job more"


def test_memory_of_the_gpu():
    said = told(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"))
    assert said == (
        "the GPU's memory is full: lower it (CUDA out of memory. Tried to allocate 2 GiB.)"
    )


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes"), oom_as_user_error("lower it"):
        raise RuntimeError("shapes differ")
