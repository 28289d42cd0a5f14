"""The processes that train one network together: started by torchrun, or one alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Processes:
    """This process and how many there are; `local` numbers those of one machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes the files and the log."""
        return self.rank == 0

    def share(self, value: object) -> object:
        """What the first process has, on all of them."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def add(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in place."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def gather(self, values: torch.Tensor) -> list[torch.Tensor]:
        """The tensor of every process, in the order of their ranks; all have one shape."""
        if self.count == 1:
            return [values]
        gathered = [torch.empty_like(values) for _ in range(self.count)]
        dist.all_gather(gathered, values)
        return gathered


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Meet the other processes that torchrun started, if it did, and part from them at the end.

    torchrun says who is who in RANK, WORLD_SIZE and LOCAL_RANK. Tensors on GPUs travel by NCCL,
    those on the CPU by Gloo.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    yield Processes(dist.get_rank(), count, int(os.environ.get("LOCAL_RANK", "0")))
    # Not after an error: the others are not there to part from, and torchrun ends all of them.
    dist.destroy_process_group()
