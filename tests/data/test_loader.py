"""The loader on both kinds of device, and when a worker process fails."""

import os
import signal
import time

import pytest
import torch
from torch.utils.data import TensorDataset

from tsn.data.loader import make_loader
from tsn.runtime.errors import UserError


def batches(device: str, threads: int, dataset=TensorDataset) -> list[list[int]]:
    loader = make_loader(dataset(torch.arange(10)), torch.device(device), threads, batch_size=3)
    loader.pin_memory = False  # needs a GPU
    return [values.tolist() for (values,) in loader]


class Dying(TensorDataset):
    """Its sixth item kills the process that reads it, as the kernel does when memory is short."""

    def __getitem__(self, number):
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(number)


class Damaged(TensorDataset):
    """Its sixth item cannot be read."""

    def __getitem__(self, number):
        if number == 5:
            raise UserError("shard.h5: damaged on disk")
        return super().__getitem__(number)


def test_workers_yield_what_the_process_itself_yields():
    assert batches("cuda", 2) == batches("cpu", 2) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_only_a_gpu_has_workers():
    data = TensorDataset(torch.arange(10))
    assert make_loader(data, torch.device("cuda"), 2).num_workers == 2
    assert make_loader(data, torch.device("cpu"), 2).num_workers == 0


def test_a_cpu_has_the_next_batch_made_while_the_network_is_at_work():
    made = []

    class Noted(TensorDataset):
        def __getitem__(self, number):
            made.append(number)
            return super().__getitem__(number)

    loader = iter(make_loader(Noted(torch.arange(10)), torch.device("cpu"), 1, batch_size=3))
    next(loader)
    end = time.monotonic() + 10
    while len(made) < 6 and time.monotonic() < end:
        time.sleep(0.01)
    assert made == [0, 1, 2, 3, 4, 5]  # one ahead, and not two
    loader.close()


def test_a_worker_that_dies_is_an_error_with_advice():
    before = signal.getsignal(signal.SIGCHLD)
    with pytest.raises(UserError, match="loader process died"):
        batches("cuda", 2, Dying)
    assert signal.getsignal(signal.SIGCHLD) is before


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_workers_error_is_told_as_the_process_itself_tells_it(device):
    with pytest.raises(UserError) as caught:
        batches(device, 2, Damaged)
    assert str(caught.value) == "shard.h5: damaged on disk"
