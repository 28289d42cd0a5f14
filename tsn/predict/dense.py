"""Snippets at a fixed rate, of a video as it is decoded: in bounded memory, and resumable."""

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from tsn.data.sampling import LONGEST, dense_start
from tsn.predict.streams import Clip, Streams
from tsn.runtime.files import atomic_path

BLOCK = 16
"""Snippets in memory at a time."""


def dense_clips(
    streams: Streams,
    frames: Iterable[np.ndarray],
    rate: float,
    stride: float,
    done: int = 0,
    longest: int = LONGEST,
) -> Iterator[tuple[Clip, list[int]]]:
    """Cut a video into clips that hold the frames of the next snippets, and no others.

    Args:
        streams: makes frames and flow of them.
        frames: all of the video, as decoded.
        rate: frames per second.
        stride: seconds from one snippet to the next.
        done: leave out so many snippets.
        longest: frames of a snippet, at least `LONGEST`; the last ones may have fewer.

    Yields:
        A clip, and the starts of its snippets, those of `tsn.data.sampling.dense_starts`. The
        last one may have none; its length is that of the video.
    """

    def start(number: int) -> int:
        return dense_start(number, rate, stride)

    clip, starts, number, count = Clip(streams, 0), [], done, 0
    for count, frame in enumerate(frames, 1):
        if count > start(number):
            clip.frames[count - 1] = frame
        while count >= start(number) + longest:
            starts.append(start(number))
            number += 1
        if len(starts) >= BLOCK:
            clip.length = count
            yield clip, starts
            kept = {n: frame for n, frame in clip.frames.items() if n >= start(number)}
            clip, starts = Clip(streams, 0), []
            clip.frames = kept
    while count >= start(number) + LONGEST:
        starts.append(start(number))
        number += 1
    clip.length = count
    yield clip, starts if number else [0]


class SnippetScores:
    """Scores of the snippets of one video, by modality; they grow, and survive the process.

    Attributes:
        means, maxima: by modality, lists of float32 (n, C), over the crops.

    Args:
        modalities: whose.
        path: a file to keep them in; None: none.
        key: what determines the scores; a file with another key is ignored.
    """

    EVERY = 20
    """Blocks from one writing to the next."""

    def __init__(self, modalities: Iterable[str], path: Path | None, key: object):
        self._path, self._key = path, json.dumps(key, sort_keys=True, default=str)
        self._blocks = 0
        self.means: dict[str, list[np.ndarray]] = {modality: [] for modality in modalities}
        self.maxima: dict[str, list[np.ndarray]] = {modality: [] for modality in modalities}
        if path is not None and path.is_file():
            self._read(path)

    def __len__(self) -> int:
        return sum(map(len, next(iter(self.means.values()))))

    def add(self, scores: dict[str, torch.Tensor]) -> None:
        """Add the next snippets: by modality, (n, crops, C)."""
        for modality, crops in scores.items():
            self.means[modality].append(crops.mean(1).float().cpu().numpy())
            self.maxima[modality].append(crops.amax(1).float().cpu().numpy())
        self._blocks += 1
        if self._path is not None and self._blocks % self.EVERY == 0:
            self._write(self._path)

    def forget(self) -> None:
        """Remove the file."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return  # damaged, or of another kind: it is written anew
        if str(arrays.get("key")) == self._key:
            for modality in self.means:
                self.means[modality] = [arrays[f"means/{modality}"]]
                self.maxima[modality] = [arrays[f"maxima/{modality}"]]

    def _write(self, path: Path) -> None:
        arrays = {"key": np.array(self._key)}
        for modality in self.means:
            arrays[f"means/{modality}"] = np.concatenate(self.means[modality])
            arrays[f"maxima/{modality}"] = np.concatenate(self.maxima[modality])
        with atomic_path(path) as temporary, Path(temporary).open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
