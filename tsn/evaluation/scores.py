"""Score files: pre-softmax class scores per video, with all that fusion must match."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np

from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path
from tsn.shards.hdf5 import DAMAGE, WITH_CHECKSUMS, read_all

FORMAT_VERSION = 2
"""Version 1 has no scores of snippets; it is still read."""


@dataclass(frozen=True)
class Scores:
    """Scores of one modality on the test videos of one split.

    Attributes:
        dataset, experiment, split, modality: whose they are.
        ids: video ids.
        labels: int64 (V,), true classes.
        values: float32 (V, C), before softmax, pooled over snippets and crops.
        classes: class names in label order.
        model: SHA-256 of the model file.
        shards: fingerprint of the shards.
        protocol: the configuration of the test, but for its engine.
        snippets: float32 (V, S, C), before softmax, mean over the crops of each snippet; None in
            files of version 1. `tsn.evaluation.pooling.pool` makes scores of videos from them.
        starts: int32 (V, S), number of each snippet's first frame or flow field; None as above.
        engine: what ran the network, see `tsn.evaluation.engine`.
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
    starts: np.ndarray | None = None
    engine: str = "torch"


_ARRAYS = ("ids", "labels", "values", "snippets", "starts")
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
        for name in ("snippets", "starts"):
            if (data := getattr(scores, name)) is not None:
                # Uncompressed: scores are noise to a compressor, 10 % would be gained.
                file.create_dataset(name, data=data, fletcher32=True)


def read_scores(path: Path | str) -> Scores:
    """Read a score file.

    Raises:
        UserError: if it is absent, damaged, or of another format.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            if file.attrs["format_version"] not in (1, FORMAT_VERSION):
                raise UserError(f"{path}: another version's score file; score the videos again")
            known = {
                name: json.loads(file.attrs[name]) for name in _ATTRIBUTES if name in file.attrs
            }
            known["classes"] = tuple(known["classes"])
            names, labels, values = (read_all(file, key) for key in ("ids", "labels", "scores"))
            ids = tuple(name.decode("utf-8", errors="surrogateescape") for name in names)
            snippets, starts = (
                read_all(file, key) if key in file else None for key in ("snippets", "starts")
            )
            return Scores(
                ids=ids, labels=labels, values=values, snippets=snippets, starts=starts, **known
            )
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such score file; score the videos first") from None
    except DAMAGE as error:
        raise UserError(
            f"{path}: cannot be read ({error}); run again with --forcerun score_videos"
        ) from None
