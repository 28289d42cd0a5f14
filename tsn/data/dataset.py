"""Snippets of videos as PyTorch data sets, for training and for the test protocol."""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from tsn.config.schema import TestConfig, TrainingConfig
from tsn.data.sampling import SNIPPET_SAMPLING, centre_starts, snippet_rows, train_starts
from tsn.data.transforms import (
    Crop,
    centre_crop,
    cut,
    mirror,
    random_crop,
    resize,
    stack_snippets,
    test_crops,
)
from tsn.datasets.records import Video
from tsn.models.modality import FLOW_MODALITIES, SNIPPET_ROWS, STREAM_OF
from tsn.runtime.errors import UserError
from tsn.shards.store import ShardSet


class _Snippets(Dataset):
    """What training and test share: usable videos, and reading the rows of a snippet.

    Items are made from arrays with an entry per video: Python objects that worker processes look
    at would be copied into each of them.

    Attributes:
        videos: those that have rows, in the order of the items.
    """

    def __init__(self, shards: ShardSet, videos: list[Video], modality: str):
        if shards.stream != STREAM_OF[modality]:
            raise UserError(
                f"the modality {modality} needs {STREAM_OF[modality]} shards, got {shards.stream}"
            )
        self.videos = [video for video in videos if shards.usable(video.id)]
        self._numbers = np.array([shards.number(video.id) for video in self.videos], np.int64)
        self._labels = np.array([video.label for video in self.videos], np.int64)
        self._shards, self._modality = shards, modality
        self._length = SNIPPET_ROWS[modality]
        self.is_flow = modality in FLOW_MODALITIES

    def __len__(self) -> int:
        return len(self._numbers)

    def _rows(self, item: int) -> int:
        return self._shards.length_at(self._numbers[item])

    def _snippet_rows(self, item: int, starts: np.ndarray) -> list[np.ndarray]:
        """The numbers of the rows of each snippet."""
        count = self._rows(item)
        return [snippet_rows(int(start), self._length, count) for start in starts]

    def _read(self, item: int, rows: np.ndarray) -> np.ndarray:
        """Rows of a video.

        Returns:
            uint8 frames (rows, H, W, 3), or planes of flow, x and y of a row after each other,
            (rows * 2, H, W).
        """
        images = self._shards.read_at(self._numbers[item], rows)
        return images.reshape(-1, *images.shape[2:]) if self.is_flow else images

    def _cut(self, item: int, starts: np.ndarray, crop: Crop, side: int) -> torch.Tensor:
        """Snippets cut at one place, (snippets, channels, side, side).

        Each is cut as soon as it is read: whole frames of all of them are megabytes to copy.
        """
        snippets = [
            cut(self._read(item, rows), crop, side) for rows in self._snippet_rows(item, starts)
        ]
        return torch.from_numpy(stack_snippets(snippets, self._modality))


class TrainingSnippets(_Snippets):
    """One item per video: K augmented snippets, uint8 or int16 (K, C, S, S), and the label.

    An item is asked for as (epoch, number); segments, crop and flip are drawn from
    (seed, epoch, video id), so they do not depend on order, workers or other videos.
    """

    def __init__(
        self,
        shards: ShardSet,
        videos: list[Video],
        modality: str,
        recipe: TrainingConfig,
        input_size: int,
        seed: int,
    ):
        super().__init__(shards, videos, modality)
        self._recipe, self._side, self._seed = recipe, input_size, seed
        self._hashes = np.array([_stable_hash(video.id) for video in self.videos], np.uint64)

    def __getitem__(self, item: tuple[int, int]) -> tuple[torch.Tensor, int]:
        epoch, number = item
        recipe = self._recipe
        rng = np.random.default_rng([self._seed, epoch, int(self._hashes[number])])
        starts = train_starts(self._rows(number), self._length, recipe.segments, rng)
        crop = random_crop(self._shards.size, self._side, recipe.crop_scales, recipe.flip, rng)
        snippets = self._cut(number, starts, crop, self._side)
        snippets = mirror(snippets, self.is_flow) if crop.flip else snippets
        return snippets, int(self._labels[number])


class CentreSnippets(_Snippets):
    """One item per video: K snippets from the centres of their segments, and the label.

    For validation during training: uint8 or int16 (K, C, S, S), the centre of the frame.
    """

    def __init__(
        self,
        shards: ShardSet,
        videos: list[Video],
        modality: str,
        segments: int,
        input_size: int,
    ):
        super().__init__(shards, videos, modality)
        self._segments, self._side = segments, input_size

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        starts = centre_starts(self._rows(number), self._length, self._segments)
        snippets = self._cut(number, starts, centre_crop(self._shards.size), self._side)
        return snippets, int(self._labels[number])


class TestSnippets(_Snippets):
    """One item per video: its whole snippets, uint8 or int16 (segments, C, h, w).

    The frame is scaled so that a crop of `test.crop_size` frame pixels has the input's side. The
    crops overlap: `cut_crops` takes `crops` from the item where the network is, so that not ten
    times as much travels there.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    def __init__(
        self,
        shards: ShardSet,
        videos: list[Video],
        modality: str,
        test: TestConfig,
        input_size: int,
    ):
        super().__init__(shards, videos, modality)
        self._test = test
        scale = input_size / test.crop_size
        self._size = tuple(
            side if scale == 1 else max(round(side * scale), input_size) for side in shards.size
        )
        self.crops = test_crops(self._size, input_size, test.crops)
        self.crops_per_video = test.segments * len(self.crops)

    def __getitem__(self, number: int) -> torch.Tensor:
        test = self._test
        rule = SNIPPET_SAMPLING[test.snippet_sampling]
        starts = rule(self._rows(number), self._length, test.segments)
        # All at once: the snippets of a short video share rows.
        images = self._read(number, np.concatenate(self._snippet_rows(number, starts)))
        if self._size != self._shards.size:
            images = resize(images, self._size)
        snippets = images.reshape(test.segments, -1, *images.shape[1:])
        return torch.from_numpy(stack_snippets(snippets, self._modality))


class MicroBatches(Sampler):
    """The items (epoch, number) of every micro-batch of one process, iteration after iteration.

    An iteration is one optimiser step over `batch_size` videos, cut into micro-batches that fit the
    memory; each epoch has an order of its own and may end in a smaller batch. All of it follows
    from the seed, so that a run can go on from any iteration.

    Processes that train together take turns: the one with rank r has the micro-batches r, r + p,
    r + 2p, … of an iteration. One for which there is none gets a stand-in, the batch's first video,
    to take part in the step without counting.

    Args:
        count: videos of an epoch.
        batch_size: videos of an iteration.
        micro_batch: videos at a time.
        seed: seed of the orders.
        iterations: which ones to run through, e.g. range(120, 500) after a resume at 120.
        rank: the number of this process.
        processes: p, how many there are.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        micro_batch: int,
        seed: int,
        iterations: range,
        rank: int = 0,
        processes: int = 1,
    ):
        self._count, self._batch, self._micro = count, batch_size, micro_batch
        self._seed, self._iterations = seed, iterations
        self._rank, self._processes = rank, processes
        self.per_epoch = -(-count // batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for iteration in self._iterations:
            epoch, position = divmod(iteration, self.per_epoch)
            order = np.random.default_rng([self._seed, epoch]).permutation(self._count)
            batch = order[position * self._batch : (position + 1) * self._batch]
            for part in self.mine(iteration) or [None]:
                videos = batch[:1]
                if part is not None:
                    videos = batch[part * self._micro : (part + 1) * self._micro]
                yield [(epoch, int(number)) for number in videos]

    def size(self, iteration: int) -> int:
        """How many videos the batch of an iteration has."""
        return min(self._batch, self._count - iteration % self.per_epoch * self._batch)

    def parts(self, iteration: int) -> int:
        """How many micro-batches the batch of an iteration has."""
        return -(-self.size(iteration) // self._micro)

    def mine(self, iteration: int) -> range:
        """The numbers of those that this process has; empty if it only gets a stand-in."""
        return range(self._rank, self.parts(iteration), self._processes)


def _stable_hash(text: str) -> int:
    digest = hashlib.sha256(text.encode("utf-8", errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")
