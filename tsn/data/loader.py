"""The loader: where and by how many processes snippets are read and augmented."""

import torch
from torch.utils.data import DataLoader, Dataset


def make_loader(snippets: Dataset, device: torch.device, threads: int, **batching) -> DataLoader:
    """A loader that suits the device; what it yields does not depend on it.

    On a GPU worker processes read ahead into pinned memory. On a CPU the network wants all cores,
    and reading a row costs a hundredth of its pass, so the training process does both.

    Args:
        snippets: the data set.
        device: where the network runs.
        threads: worker processes on a GPU.
        batching: `batch_sampler` or `batch_size` of DataLoader.
    """
    on_gpu = device.type == "cuda"
    return DataLoader(
        snippets,
        num_workers=threads if on_gpu else 0,
        pin_memory=on_gpu,
        persistent_workers=on_gpu and threads > 0,
        worker_init_fn=_one_thread,
        **batching,
    )


def _one_thread(_: int) -> None:
    """There are as many workers as cores; and OpenCV's thread pool does not survive a fork."""
    import cv2

    cv2.setNumThreads(0)
