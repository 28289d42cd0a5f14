"""The loader on both kinds of device."""

import torch
from torch.utils.data import TensorDataset

from tsn.data.loader import make_loader


def batches(device: str, threads: int) -> list[list[int]]:
    loader = make_loader(
        TensorDataset(torch.arange(10)), torch.device(device), threads, batch_size=3
    )
    loader.pin_memory = False  # needs a GPU
    return [values.tolist() for (values,) in loader]


def test_workers_yield_what_the_process_itself_yields():
    assert batches("cuda", 2) == batches("cpu", 2) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_only_a_gpu_has_workers():
    data = TensorDataset(torch.arange(10))
    assert make_loader(data, torch.device("cuda"), 2).num_workers == 2
    assert make_loader(data, torch.device("cpu"), 2).num_workers == 0
