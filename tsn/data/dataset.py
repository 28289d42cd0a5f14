"""Snippets of videos as PyTorch data sets, for training and for the test protocol."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from tsn.config.schema import TestConfig, TrainingConfig
from tsn.data.sampling import (
    SNIPPET_SAMPLING,
    centre_starts,
    dense_starts,
    snippet_indices,
    train_starts,
)
from tsn.data.transforms import (
    Crop,
    centre_crop,
    cut,
    cut_crops,
    mirror,
    random_crop,
    resize,
    stack_snippets,
    test_crops,
)
from tsn.datasets.records import Video
from tsn.models.modality import FLOW_MODALITIES, SNIPPET_LENGTH, STREAM_OF, snippet_frames
from tsn.runtime.errors import UserError
from tsn.video import Size

BLOCK = 64
"""Snippets of a test video in memory at a time: 56 MB of flow."""


class Store(Protocol):
    """What snippets are read from: `tsn.shards.store.ShardSet`, or frames that are in memory."""

    stream: str
    extra_frames: int
    """By which a video's frames outnumber its flow fields; 0 for rgb."""

    def usable(self, video_id: str) -> bool:
        """Whether a video is not quarantined."""
        ...

    def number(self, video_id: str) -> int:
        """Number of a video."""
        ...

    def length_at(self, number: int) -> int:
        """Frames or flow fields of a video."""
        ...

    def size_at(self, number: int) -> Size:
        """(width, height) of the frames or flow fields of a video, in pixels."""
        ...

    def read_at(self, number: int, indices: Iterable[int]) -> np.ndarray:
        """Frames, uint8 (n, H, W, 3), or flow fields, uint8 (n, 2, H, W), of a video."""
        ...


class _Snippets(Dataset):
    """What training and test have in common: usable videos, and reading the frames of a snippet.

    Items are made from arrays with an entry per video: Python objects that worker processes look
    at would be copied into each of them.

    Attributes:
        videos: those that are not quarantined, in the order of the items.
    """

    def __init__(
        self,
        shards: Store,
        videos: list[Video],
        modality: str,
        multi_hot: int = 0,
        snippet_length: int = SNIPPET_LENGTH,
    ):
        if shards.stream != STREAM_OF[modality]:
            raise UserError(
                f"the modality {modality} needs {STREAM_OF[modality]} shards, got {shards.stream}"
            )
        self.videos = [video for video in videos if shards.usable(video.id)]
        self._numbers = np.array([shards.number(video.id) for video in self.videos], np.int64)
        # The labels of all videos one after the other, and where those of each begin.
        self._labels = np.array([n for video in self.videos for n in video.labels], np.int64)
        self._first = np.cumsum([0, *(len(video.labels) for video in self.videos)])
        self._multi_hot = multi_hot
        self._shards, self._modality = shards, modality
        self._length = snippet_frames(modality, snippet_length)
        self.is_flow = modality in FLOW_MODALITIES

    def __len__(self) -> int:
        return len(self._numbers)

    def _num_frames(self, item: int) -> int:
        return self._shards.length_at(self._numbers[item])

    def _frame_size(self, item: int) -> Size:
        return self._shards.size_at(self._numbers[item])

    def _target(self, number: int, mirrored: list[int] | None = None) -> int | torch.Tensor:
        """What the network is to say: the label, or float32 (C,) with 1 for each label."""
        labels = self._labels[self._first[number] : self._first[number + 1]]
        if mirrored is not None:
            labels = np.array(mirrored)[labels]
        if not self._multi_hot:
            return int(labels[0])
        target = torch.zeros(self._multi_hot)
        target[labels] = 1
        return target

    def _snippet_indices(self, item: int, starts: np.ndarray) -> list[np.ndarray]:
        """The frame numbers of each snippet."""
        count = self._num_frames(item)
        return [snippet_indices(int(start), self._length, count) for start in starts]

    def _read(self, item: int, indices: np.ndarray) -> np.ndarray:
        """Frames or flow fields of a video by their numbers.

        Returns:
            uint8 frames (n, H, W, 3), or planes of flow, x and y of a field after each other,
            (n * 2, H, W).
        """
        images = self._shards.read_at(self._numbers[item], indices)
        return images.reshape(-1, *images.shape[2:]) if self.is_flow else images

    def _cut(self, item: int, starts: np.ndarray, crop: Crop, side: int) -> torch.Tensor:
        """Snippets cropped at one place, (snippets, channels, side, side).

        Each is cropped as soon as it is read, so that full frames are not copied.
        """
        snippets = [
            cut(self._read(item, indices), crop, side)
            for indices in self._snippet_indices(item, starts)
        ]
        return torch.from_numpy(stack_snippets(snippets, self._modality))


class TrainingSnippets(_Snippets):
    """One item per video: K augmented snippets, uint8 or int16 (K, C, S, S), and its label.

    An item is asked for as (draw, number); segments, crop and flip follow from
    (seed, draw, video id), so they do not depend on order, workers or other videos.

    Args:
        shards: holds the frames or flow fields.
        videos: to train on.
        modality: what of them.
        recipe: segments, crops and flips.
        input_size: S.
        seed: of the job.
        mirrored: see `mirrored_labels`.
        multi_hot: 0, or the number of classes C: labels are then float32 (C,), 1 for each of the
            video's classes.
        snippet_length: flow fields or differences in a snippet.
    """

    def __init__(
        self,
        shards: Store,
        videos: list[Video],
        modality: str,
        recipe: TrainingConfig,
        input_size: int,
        seed: int,
        mirrored: list[int] | None = None,
        multi_hot: int = 0,
        snippet_length: int = SNIPPET_LENGTH,
    ):
        super().__init__(shards, videos, modality, multi_hot, snippet_length)
        self._mirrored = mirrored
        self._recipe, self._side, self._seed = recipe, input_size, seed
        self._hashes = np.array([_stable_hash(video.id) for video in self.videos], np.uint64)

    def __getitem__(self, item: tuple[int, int]) -> tuple[torch.Tensor, int | torch.Tensor]:
        draw, number = item
        recipe = self._recipe
        rng = np.random.default_rng([self._seed, draw, int(self._hashes[number])])
        starts = train_starts(self._num_frames(number), self._length, recipe.segments, rng)
        size, flip = self._frame_size(number), bool(recipe.flip)
        crop = random_crop(size, self._side, recipe.crop_scales, flip, rng)
        snippets = self._cut(number, starts, crop, self._side)
        if not crop.flip:
            return snippets, self._target(number)
        return mirror(snippets, self.is_flow), self._target(number, self._mirrored)

    def by_class(self) -> dict[int, np.ndarray]:
        """Label -> the numbers of the items that have it, for all labels that some item has."""
        owners = np.repeat(np.arange(len(self)), np.diff(self._first))
        return {int(label): owners[self._labels == label] for label in np.unique(self._labels)}


class CentreSnippets(_Snippets):
    """One item per video: K snippets from the centres of their segments, and the label.

    For validation during training: uint8 or int16 (K, C, S, S), the centre of the frame; labels as
    in `TrainingSnippets`.
    """

    def __init__(
        self,
        shards: Store,
        videos: list[Video],
        modality: str,
        segments: int,
        input_size: int,
        multi_hot: int = 0,
        snippet_length: int = SNIPPET_LENGTH,
    ):
        super().__init__(shards, videos, modality, multi_hot, snippet_length)
        self._segments, self._side = segments, input_size

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int | torch.Tensor]:
        starts = centre_starts(self._num_frames(number), self._length, self._segments)
        snippets = self._cut(number, starts, centre_crop(self._frame_size(number)), self._side)
        return snippets, self._target(number)


class TestSnippets(_Snippets):
    """The uncropped snippets of each video, uint8 or int16 (snippets, C, h, w).

    An item is a video, or the next `BLOCK` snippets of one that has more.

    The frame is scaled so that a crop of `test.crop_size` frame pixels has the input's side. The
    crops overlap: `cut` takes them from the item where the network is, so that not ten times as
    much travels there.

    Args:
        shards: where frames or flow fields are read.
        videos: which ones.
        modality: of the snippets.
        test: the protocol.
        input_size: side of the network's input in pixels.
        rates: frames per second of each usable video, for the dense protocol.
        snippet_length: flow fields or differences in a snippet.

    Attributes:
        counts: number of snippets of each video.
        crops_per_snippet: how many `cut` takes.
        flipped: whether each of them is mirrored.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    def __init__(
        self,
        shards: Store,
        videos: list[Video],
        modality: str,
        test: TestConfig,
        input_size: int,
        rates: Sequence[float] = (),
        snippet_length: int = SNIPPET_LENGTH,
    ):
        super().__init__(shards, videos, modality, snippet_length=snippet_length)
        self._test, self._rates, self._side = test, np.array(rates), input_size
        self.crops_per_snippet = test.crops
        self.flipped = [crop.flip for crop in test_crops((1, 1), 1, test.crops)]
        self.counts = [len(self.starts(number)) for number in range(len(self.videos))]
        self._blocks = np.array(
            [(n, at) for n, count in enumerate(self.counts) for at in range(0, count, BLOCK)]
        )

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, item: int) -> torch.Tensor:
        number, first = self._blocks[item]
        return self.snippets(number, self.starts(number)[first : first + BLOCK])

    def starts(self, number: int) -> np.ndarray:
        """Starts of the snippets of a video, in frames or flow fields."""
        length = max(self._num_frames(number), 1)
        if self._test.protocol == "dense":
            frames = length + self._shards.extra_frames
            return dense_starts(frames, float(self._rates[number]), self._test.stride)
        rule = SNIPPET_SAMPLING[self._test.snippet_sampling]
        return rule(length, self._length, self._test.segments)

    def indices(self, number: int, starts: np.ndarray) -> np.ndarray:
        """The frames or flow fields of snippets of a video, one snippet after the other."""
        length = max(self._num_frames(number), 1)
        return np.concatenate([snippet_indices(int(s), self._length, length) for s in starts])

    def snippets(self, number: int, starts: np.ndarray) -> torch.Tensor:
        """Uncropped snippets of a video, (snippets, C, h, w)."""
        # All at once: the snippets of a short video have frames in common.
        images = self._read(number, self.indices(number, starts))
        if self._side != self._test.crop_size:
            scale = self._side / self._test.crop_size
            width, height = (
                max(round(side * scale), self._side) for side in self._frame_size(number)
            )
            images = resize(images, (width, height))
        snippets = images.reshape(len(starts), -1, *images.shape[1:])
        return torch.from_numpy(stack_snippets(snippets, self._modality))

    def cut(self, item: torch.Tensor) -> torch.Tensor:
        """The crops of an item, (crops * snippets, C, side, side), crop after crop."""
        height, width = item.shape[-2:]
        crops = test_crops((width, height), self._side, self._test.crops)
        return cut_crops(item, crops, self.is_flow)


def _stable_hash(text: str) -> int:
    digest = hashlib.sha256(text.encode("utf-8", errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")
