"""The algorithms of optical flow, by name."""

from collections.abc import Mapping
from typing import Any

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.estimator import FlowEstimator
from tsn.runtime.errors import UserError

ALGORITHMS = ("tvl1", "dis", "farneback", "nvof", "raft", "raft_small")
"""TV-L1 (the default), DIS, Farneback and NVIDIA's hardware by OpenCV, RAFT by torchvision."""

_DEFAULTS = TVL1Params()


def create_estimator(
    algorithm: str = "tvl1",
    params: TVL1Params = _DEFAULTS,
    backend: str = "auto",
    threads: int = 1,
    weights: str = "default",
    sha256: str | None = None,
    step: int = 1,
) -> FlowEstimator:
    """Return what computes the flow of an algorithm.

    Args:
        algorithm: One of `ALGORITHMS`.
        params: Parameters of TV-L1.
        backend: Engine of TV-L1, one of `tsn.flow.tvl1.BACKENDS`.
        threads: Pairs computed at the same time.
        weights: Of RAFT, see `tsn.flow.raft.RAFT`.
        sha256: Checksum of the file with the weights.
        step: Frames from the first to the second of a pair.

    Raises:
        UserError: The algorithm is unknown, or it cannot run here, or a number is none.
    """
    for name, number in (("threads", threads), ("frames a step", step)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UserError(f"flow needs a whole number of {name} from 1 up, not {number!r}")
    estimator = _create(algorithm, params, backend, threads, weights, sha256)
    estimator.step = step
    return estimator


def _create(
    algorithm: str,
    params: TVL1Params,
    backend: str,
    threads: int,
    weights: str,
    sha256: str | None,
) -> FlowEstimator:
    if algorithm == "tvl1":
        from tsn.flow.tvl1 import TVL1

        return TVL1(params, backend, threads)
    if algorithm in ("dis", "farneback", "nvof"):
        from tsn.flow.opencv_dense import OpenCVDenseFlow

        return OpenCVDenseFlow(algorithm, threads)
    if algorithm in ("raft", "raft_small"):
        from tsn.flow.raft import RAFT

        return RAFT(algorithm, weights, sha256)
    raise UserError(f"flow algorithm {algorithm!r} is unknown: use one of {', '.join(ALGORITHMS)}")


def recreate_estimator(
    fingerprint: Mapping[str, Any], threads: int = 1, weights: str | None = None
) -> FlowEstimator:
    """Return the estimator of a fingerprint; compare its own fingerprint before use.

    Args:
        fingerprint: As an estimator gives it.
        threads: Pairs computed at the same time.
        weights: The file of RAFT's weights, where they are not published ones.

    Raises:
        UserError: The algorithm cannot run here, or its weights are not known.
    """
    algorithm, step = fingerprint["algorithm"], fingerprint.get("step", 1)
    if algorithm == "imported":
        raise UserError(
            "the flow was imported from folders of images, and nothing says how it was computed; "
            "train on flow that is computed here (frame_folders.compute_flow: true)"
        )
    if algorithm == "tvl1":
        params = TVL1Params.from_record(dict(fingerprint))
        return create_estimator(algorithm, params, fingerprint["backend"], threads, step=step)
    weights = weights or fingerprint.get("source")
    if weights is None and "weights" in fingerprint:
        raise UserError(
            f"the flow was computed by {algorithm} with weights of one's own, which are not in the "
            "models; name their file with --flow-weights"
        )
    weights = weights or "default"
    return create_estimator(algorithm, threads=threads, weights=weights, step=step)


def flow_fingerprint(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a warped flow's fingerprint that says how flow was computed."""
    return dict(fingerprint[fingerprint["algorithm"].removeprefix("warped ")])
