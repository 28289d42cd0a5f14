"""Score files: pre-softmax class scores per video, with all that fusion must match."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tsn.evaluation.pooling import pool
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path
from tsn.shards.hdf5 import DAMAGE, WITH_CHECKSUMS, read_all

FORMAT_VERSION = 3
"""Version 2 has equally many snippets of each video, version 1 none; both are still read."""


@dataclass(frozen=True)
class Scores:
    """Scores of one modality on the test videos of one split.

    Attributes:
        dataset, experiment, split, modality: whose they are.
        ids: video ids.
        labels: int64 (V,), true classes; bool (V, C) in data sets of several labels.
        values: float32 (V, C), before softmax, pooled over snippets and crops.
        classes: class names in label order.
        model: SHA-256 of the model file.
        shards: fingerprint of the shards.
        protocol: the configuration of the test, but for its engine.
        snippets: float32 (N, C), before softmax, mean over the crops of each snippet, those of all
            videos after one another; None in files of version 1.
        maxima: the same, maximum over the crops; None unless the protocol is dense.
        counts: int32 (V,), number of snippets of each video; None in files of version 1.
        starts: int32 (N,), number of each snippet's first frame or flow field; None as above.
        times: float64 (N,), its time in the video in seconds; NaN where the frame rate is not
            known, None in files of versions 1 and 2.
        engine: what ran the network, see `tsn.evaluation.engine`.
        loss: what the network was trained with, "cross_entropy" or "bce": its probabilities are the
            softmax of the scores, or the logistic function of each.
    """

    dataset: str
    experiment: str
    split: int
    modality: str
    ids: tuple[str, ...]
    labels: np.ndarray
    values: np.ndarray
    classes: tuple[str, ...]
    model: str
    shards: dict
    protocol: dict
    snippets: np.ndarray | None = None
    maxima: np.ndarray | None = None
    counts: np.ndarray | None = None
    starts: np.ndarray | None = None
    times: np.ndarray | None = None
    engine: str = "torch"
    loss: str = "cross_entropy"

    def repooled(self, pooling: str) -> "Scores":
        """The scores of the videos by another pooling of their snippets.

        Raises:
            UserError: the file has not the scores of snippets that it takes.
        """
        if pooling == self.protocol.get("pooling"):
            return self
        snippets = self.maxima if pooling == "window" else self.snippets
        if snippets is None or self.counts is None:
            raise UserError(
                f"fusion.pooling: {pooling}: the {self.modality} scores of split {self.split} lack "
                "the scores of snippets that it takes; score the videos again"
                + (" with test.protocol: dense" if pooling == "window" else "")
            )
        videos = np.split(snippets, np.cumsum(self.counts)[:-1])
        stride = self.protocol.get("stride", 1.0)
        values = np.stack([pool(video, pooling, stride) for video in videos])
        protocol = {**self.protocol, "pooling": pooling}
        return replace(self, values=values.astype(np.float32), protocol=protocol)


_OF_SNIPPETS = ("snippets", "maxima", "counts", "starts", "times")
_ARRAYS = ("ids", "labels", "values", *_OF_SNIPPETS)
_ATTRIBUTES = [f.name for f in fields(Scores) if f.name not in _ARRAYS]


def write_scores(path: Path | str, scores: Scores) -> None:
    """Write a score file: arrays in HDF5, everything else as JSON in attributes."""
    # Bytes of fixed length and the format of HDF5 1.10: all of it is under checksums.
    with atomic_path(path) as temporary, h5py.File(temporary, "w", **WITH_CHECKSUMS) as file:
        file.attrs["format_version"] = FORMAT_VERSION
        for name in _ATTRIBUTES:
            file.attrs[name] = np.bytes_(json.dumps(getattr(scores, name), sort_keys=True))
        ids = np.array([name.encode("utf-8", errors="surrogateescape") for name in scores.ids])
        file.create_dataset("ids", data=ids, fletcher32=True)
        file.create_dataset("labels", data=scores.labels, fletcher32=True)
        file.create_dataset("scores", data=scores.values, fletcher32=True)
        for name in _OF_SNIPPETS:
            if (data := getattr(scores, name)) is not None:
                # Uncompressed: scores are noise to a compressor, 10 % would be gained.
                file.create_dataset(name, data=data, fletcher32=True)


def read_scores(path: Path | str, pooling: str | None = None) -> Scores:
    """Read a score file.

    Args:
        path: of the file.
        pooling: pool the scores of snippets anew; None: as in the test.

    Raises:
        UserError: if it is absent, damaged, of another format, or lacks what the pooling takes.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            if file.attrs["format_version"] not in (1, 2, FORMAT_VERSION):
                raise UserError(f"{path}: another version's score file; score the videos again")
            known: dict[str, Any] = {
                name: json.loads(file.attrs[name]) for name in _ATTRIBUTES if name in file.attrs
            }
            known["classes"] = tuple(known["classes"])
            names, labels, values = (read_all(file, key) for key in ("ids", "labels", "scores"))
            ids = tuple(name.decode("utf-8", errors="surrogateescape") for name in names)
            known |= {key: read_all(file, key) for key in _OF_SNIPPETS if key in file}
            if file.attrs["format_version"] == 2:
                videos, count, size = known["snippets"].shape
                known["snippets"] = known["snippets"].reshape(-1, size)
                known["starts"] = known["starts"].reshape(-1)
                known["counts"] = np.full(videos, count, np.int32)
            scores = Scores(ids=ids, labels=labels, values=values, **known)
            return scores.repooled(pooling) if pooling else scores
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such score file; score the videos first") from None
    except DAMAGE as error:
        raise UserError(
            f"{path}: cannot be read ({error}); run again with --forcerun score_videos"
        ) from None
