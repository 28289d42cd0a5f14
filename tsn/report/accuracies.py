"""Figure of the accuracies: every modality and combination, beside the published figures."""

from pathlib import Path

from tsn.models.modality import FUSED
from tsn.report.published import published_accuracy
from tsn.report.style import NEUTRAL, colour, figure, name, printable


def rows_of(result: dict) -> list[tuple[str, str, dict]]:
    """The rows of an accuracy table: modalities, further combinations, the fusion last.

    Args:
        result: one of the `splits`, or `mean`, of a summary (see tsn.evaluation.summary).

    Returns:
        What people call it, its key among published figures (modalities joined by "+"), and its
        accuracies.
    """
    rows = [(name(modality), modality, entry) for modality, entry in result["modalities"].items()]
    for title, entry in {**result["compare"], FUSED: result["fused"]}.items():
        parts = sorted(modality for modality, weight in entry["weights"].items() if weight)
        rows.append((title, "+".join(parts), entry))
    return rows


def draw_accuracies(path: Path | str, summary: dict) -> None:
    """Draw top-1 of the mean of all splits as bars, single splits as dots, the paper as a line."""
    splits = summary["splits"]
    rows = rows_of(summary["mean"])
    level = splits[0]["split"] if len(splits) == 1 else "mean"
    with figure(path, 7, 0.9 + 0.42 * len(rows)) as axes:
        for place, (title, key, entry) in enumerate(rows):
            scores = FUSED if title == FUSED else key
            accuracy = 100 * entry["top1"]
            axes.barh(place, accuracy, 0.62, color=colour(scores))
            single = [100 * rows_of(split)[place][2]["top1"] for split in splits]
            if len(splits) > 1:
                axes.plot(single, [place] * len(single), "o", ms=4, mfc="white", mec="black")
            axes.annotate(
                f"{accuracy:.1f}",
                (max(single), place),
                (6, 0),
                textcoords="offset points",
                va="center",
                weight="bold" if title == FUSED else "normal",
            )
            paper = published_accuracy(summary["layout"], level, key)
            if paper:
                axes.plot([paper, paper], [place - 0.4, place + 0.4], color="black", lw=2)
        axes.set_yticks(range(len(rows)), [printable(title) for title, _, _ in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 108)
        axes.set_xticks(range(0, 101, 20))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("top-1 accuracy, %")
        axes.axvline(100 * chance(summary), color=NEUTRAL, ls=":", lw=1.2)


def chance(summary: dict) -> float:
    """The accuracy of guessing, 0…1: one class of those that are tested."""
    return 1 / max(len(split["fused"]["per_class"]) for split in summary["splits"])
