"""Published accuracies beside the fusion's own, in percent."""

from tsn.report.published import PUBLISHED

TABLES = ("release", "inputs", "state-of-the-art")
"""The authors' release (three segments) comes first; what it lacks is in the paper's comparison of
inputs (one segment, UCF101 split 1) and in that with the state of the art (means of splits)."""


def published(layout: str, split: int | str, scores: str | None) -> float | None:
    """The published figure for a set of modalities, if there is one.

    Args:
        layout: of the data set, as "ucf101".
        split: its number, or "mean" for that of all three.
        scores: the modalities that take part, sorted and joined by "+".
    """
    wanted = {1: (1, "first"), "mean": ("all",)}.get(split, (split,))
    for table in map(PUBLISHED.get, TABLES):
        for row in table.rows:
            if "+".join(sorted(row.weights or ())) != scores or layout not in row.figures:
                continue
            for column, figure in zip(table.columns, row.figures[layout], strict=True):
                if column.split in wanted and figure is not None:
                    return figure
    return None
