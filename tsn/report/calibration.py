"""Figure of the calibration: how often a fusion is right, by how sure it is."""

from pathlib import Path

import numpy as np

from tsn.models.modality import FUSED
from tsn.report.style import NEUTRAL, colour, figure


def draw_calibration(path: Path | str, splits: list[dict]) -> None:
    """Draw reliability diagrams (accuracy against confidence) of all splits' fusions.

    Args:
        path: the file.
        splits: of each, what `tsn.evaluation.calibration.calibration_of` says.
    """
    kinds = [kind for kind in ("uncalibrated", "calibrated") if kind in splits[0]]
    with figure(path, 3.2 * len(kinds), 3, columns=len(kinds), squeeze=False) as (row,):
        for axes, kind in zip(row, kinds, strict=True):
            found = [split[kind] for split in splits]
            axes.plot([0, 100], [0, 100], color=NEUTRAL, ls=":", lw=1.2)
            for entry in found:
                confidence, accuracy, videos = (
                    np.array([part[key] for part in entry["bins"]])
                    for key in ("confidence", "accuracy", "videos")
                )
                axes.plot(100 * confidence, 100 * accuracy, color=colour(FUSED), lw=1)
                area = 200 * videos / videos.sum()
                axes.scatter(100 * confidence, 100 * accuracy, area, color=colour(FUSED))
            error = 100 * np.mean([entry["ece"] for entry in found])
            axes.set_title(f"{kind}: error {error:.1f} %")
            axes.set_xlabel("confidence, %")
            axes.set_ylabel("accuracy, %")
            axes.set_xlim(0, 102)
            axes.set_ylim(0, 102)
