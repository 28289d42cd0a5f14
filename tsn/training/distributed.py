"""The processes that train one network together: started by torchrun, or one alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from tsn.models.partial_bn import BatchNorm


@dataclass(frozen=True)
class ProcessGroup:
    """The rank of this process, the number of processes, and its rank on its own machine."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files and the log."""
        return self.rank == 0

    def broadcast(self, value: Any) -> Any:
        """The value of rank 0, on all ranks."""
        if self.world_size == 1:
            return value
        objects = [value]
        dist.broadcast_object_list(objects, src=0, device=torch.device("cpu"))
        return objects[0]

    def all_reduce(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks, in place."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def all_gather(self, values: torch.Tensor) -> list[torch.Tensor]:
        """The tensor of every rank, in their order; all have one shape."""
        if self.world_size == 1:
            return [values]
        gathered = [torch.empty_like(values) for _ in range(self.world_size)]
        dist.all_gather(gathered, values)
        return gathered


@contextmanager
def join_process_group() -> Iterator[ProcessGroup]:
    """Join the other processes that torchrun started, if it did, and leave them at the end.

    torchrun sets RANK, WORLD_SIZE and LOCAL_RANK. Tensors on GPUs travel by NCCL, those on the CPU
    by Gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ProcessGroup()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    yield ProcessGroup(dist.get_rank(), dist.get_world_size(), local_rank)
    # Not after an error: the others are not there to leave, and torchrun ends all of them.
    dist.destroy_process_group()


class RunningStatistics:
    """Running statistics of batch normalisation that do not depend on the number of processes.

    Each layer normalises a micro-batch by that micro-batch's own statistics, wherever it is
    computed. Only the running statistics, which the test uses, would differ: each process would
    follow its own micro-batches. Here all follow those of all processes in their order, as a single
    process would. Layers that are frozen are left alone.

    While it is in use the layers have momentum 1, so that after a pass their buffers hold the
    statistics of its micro-batch, which `record` takes and `end_step` blends into what was before.

    Args:
        network: in training mode.
        group: divides the micro-batches of a step: rank r has numbers r, r + world size,
            r + 2 world size, …
    """

    def __init__(self, network: nn.Module, group: ProcessGroup):
        layers = [
            module
            for module in network.modules()
            if isinstance(module, BatchNorm) and module.training and module.track_running_stats
        ]
        self._group, self._layers = group, layers
        self._buffers: list[torch.Tensor] = []
        momenta = []
        for layer in layers:
            for buffer in (layer.running_mean, layer.running_var):
                assert buffer is not None and layer.momentum is not None
                self._buffers.append(buffer)
                momenta.append(torch.full_like(buffer, layer.momentum))
            layer.momentum = 1.0
        self._momentum = torch.cat(momenta or [torch.empty(0)])
        self._recorded: list[torch.Tensor] = []
        self._seen: dict[tuple[nn.Module, int], torch.Tensor] = {}
        self._before = self._read()

    def begin_step(self) -> None:
        """An optimiser step begins."""
        self._before = self._read()

    def record(self) -> None:
        """A micro-batch has passed the network."""
        if self._buffers:
            self._recorded.append(self._read())

    def see(self, layer: BatchNorm, number: int) -> None:
        """A layer has normalised the micro-batch of this number among those that share a pass."""
        assert layer.running_mean is not None and layer.running_var is not None
        self._seen[layer, number] = torch.cat([layer.running_mean, layer.running_var])

    def record_seen(self) -> None:
        """Micro-batches that shared a pass have passed the network: all layers have seen them."""
        for number in range(max((number for _, number in self._seen), default=-1) + 1):
            self._recorded.append(torch.cat([self._seen[layer, number] for layer in self._layers]))
        self._seen.clear()

    def end_step(self, micro_batches: int) -> None:
        """Blend in the statistics of all micro-batches of the step, of which there were so many."""
        if not self._buffers:
            return
        world_size = self._group.world_size
        # Some ranks may have had one micro-batch fewer; all must gather as many.
        local = self._before.new_zeros((-(-micro_batches // world_size), len(self._before)))
        for row, values in zip(local, self._recorded, strict=False):
            row.copy_(values)
        passes = len(self._recorded)
        self._recorded.clear()
        by_rank = self._group.all_gather(local)
        running = self._before
        for number in range(micro_batches):
            values = by_rank[number % world_size][number // world_size]
            running = torch.lerp(running, values, self._momentum)
        with torch.no_grad():
            for buffer, values in zip(self._buffers, self._split(running), strict=True):
                buffer.copy_(values)
            for layer in self._layers:
                assert layer.num_batches_tracked is not None
                # It has counted those of this process.
                layer.num_batches_tracked += micro_batches - passes

    def _read(self) -> torch.Tensor:
        if not self._buffers:
            return torch.empty(0)
        return torch.cat([buffer.flatten() for buffer in self._buffers])

    def _split(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return values.split([buffer.numel() for buffer in self._buffers])
