"""The loader: how many processes read and augment snippets ahead of the network."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils import signal_handling

from tsn.runtime.errors import UserError

WORKER_DIED = (
    "a loader process died, most often for want of memory, or of shared memory in a "
    "container (/dev/shm; docker run --shm-size=8g): give the job more, or fewer cores, and type "
    "the same command again; a training goes on from its last saved state"
)


def make_loader(
    snippets: Dataset, device: torch.device, threads: int, **batching: Any
) -> DataLoader:
    """A loader that suits the device; what it yields does not depend on it.

    On a GPU worker processes prefetch into pinned memory. On a CPU the network needs all cores, so
    one thread of its own process prefetches a single batch.

    Args:
        snippets: the data set.
        device: where the network runs.
        threads: worker processes on a GPU.
        batching: `batch_sampler` or `batch_size` of DataLoader.
    """
    on_gpu = device.type == "cuda"
    return _Loader(
        snippets,
        num_workers=threads if on_gpu else 0,
        pin_memory=on_gpu,
        persistent_workers=on_gpu and threads > 0,
        worker_init_fn=_single_threaded,
        **batching,
    )


class _Loader(DataLoader):
    """Re-raises worker errors without PyTorch's wrapped traceback.

    PyTorch's handler of SIGCHLD raises amid whatever line is running when a worker dies, error
    handling included. Without the handler, waiting for data finds the dead worker within seconds.
    """

    def __iter__(self) -> Iterator:  # type: ignore[override]
        before = signal.getsignal(signal.SIGCHLD)
        batches = super().__iter__()
        # It is set by the first loader of a process that has workers, which may be another one.
        handler = signal.getsignal(signal.SIGCHLD)
        if getattr(handler, "__module__", "") == signal_handling.__name__:
            signal.signal(
                signal.SIGCHLD, signal.SIG_DFL if before is handler else before or signal.SIG_DFL
            )
        yield from _reraising(batches) if self.num_workers else _prefetching(batches)


def _reraising(batches: Iterator) -> Iterator:
    """The same batches; errors of worker processes as `_Loader` says."""
    try:
        yield from batches
    except UserError as error:
        raise UserError(str(error).rsplit("UserError: ")[-1].strip()) from None
    except (ConnectionError, EOFError) as error:  # what it left behind cannot be fetched
        raise UserError(WORKER_DIED) from error
    except RuntimeError as error:
        if "exited unexpectedly" in str(error):
            raise UserError(WORKER_DIED) from error
        raise


def _prefetching(batches: Iterator) -> Iterator:
    """The same batches; a thread prefetches the next one."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield batch


def _single_threaded(_: int) -> None:
    """There are as many workers as cores; and OpenCV's thread pool does not survive a fork."""
    import cv2

    cv2.setNumThreads(0)
