"""Running statistics of batch normalisation that do not depend on the number of processes.

Each layer normalises a micro-batch by that micro-batch's own statistics, wherever it is computed.
Only the running statistics, which the test uses, would differ: each process would follow its own
micro-batches. Here all follow those of all processes in their order, as a single process would.
"""

import torch
from torch import nn

from tsn.models.partial_bn import BatchNorm
from tsn.training.processes import Processes


class BatchStatistics:
    """Keeps the running statistics of the layers that learn them; frozen ones are left alone.

    While it is in use those layers have momentum 1, so that after a pass their buffers hold the
    statistics of its micro-batch, which `record` takes and `update` blends into what was before.

    Args:
        network: in training mode.
        processes: those that share the micro-batches of a step: the one with rank r has those with
            numbers r, r + count, r + 2 count, …
    """

    def __init__(self, network: nn.Module, processes: Processes):
        layers = [
            module
            for module in network.modules()
            if isinstance(module, BatchNorm) and module.training and module.track_running_stats
        ]
        self._processes, self._layers = processes, layers
        self._buffers = [b for layer in layers for b in (layer.running_mean, layer.running_var)]
        momenta = [layer.momentum for layer in layers for _ in range(2)]
        self._momentum = torch.cat(
            [b.new_full((b.numel(),), m) for b, m in zip(self._buffers, momenta, strict=True)]
            or [torch.empty(0)]
        )
        for layer in layers:
            layer.momentum = 1.0
        self._recorded: list[torch.Tensor] = []
        self._before = self._read()

    def begin(self) -> None:
        """A step begins."""
        self._before = self._read()

    def record(self) -> None:
        """A micro-batch has passed the network."""
        if self._buffers:
            self._recorded.append(self._read())

    def update(self, parts: int) -> None:
        """Blend in the statistics of the `parts` micro-batches of the step; the step is over."""
        if not self._buffers:
            return
        count = self._processes.count
        # Some processes may have had one micro-batch fewer; all must gather as many.
        mine = self._before.new_zeros((-(-parts // count), len(self._before)))
        for row, values in zip(mine, self._recorded, strict=False):
            row.copy_(values)
        passes = len(self._recorded)
        self._recorded.clear()
        by_rank = self._processes.gather(mine)
        running = self._before
        for part in range(parts):
            running = torch.lerp(running, by_rank[part % count][part // count], self._momentum)
        with torch.no_grad():
            for buffer, values in zip(self._buffers, self._split(running), strict=True):
                buffer.copy_(values)
            for layer in self._layers:  # it has counted those of this process
                layer.num_batches_tracked += parts - passes

    def _read(self) -> torch.Tensor:
        if not self._buffers:
            return torch.empty(0)
        return torch.cat([buffer.flatten() for buffer in self._buffers])

    def _split(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return values.split([buffer.numel() for buffer in self._buffers])
