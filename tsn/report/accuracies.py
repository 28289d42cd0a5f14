"""Figure of the accuracies: every modality and combination, beside the published figures."""

from pathlib import Path

from tsn.evaluation.metrics import MEASURES, main_measure
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
    """Draw the main measure: mean of the splits as bars, single ones as dots, paper as a line."""
    splits = summary["splits"]
    rows = rows_of(summary["mean"])
    main = main_measure(summary["mean"]["fused"])
    level = splits[0]["split"] if len(splits) == 1 else "mean"
    with figure(path, 7, 0.9 + 0.42 * len(rows)) as axes:
        for place, (title, key, entry) in enumerate(rows):
            scores = FUSED if title == FUSED else key
            accuracy = 100 * entry[main]
            axes.barh(place, accuracy, 0.62, color=colour(scores))
            single = [100 * rows_of(split)[place][2][main] for split in splits]
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
        axes.set_xlabel("top-1 accuracy, %" if main == "top1" else f"{MEASURES[main]}, %")
        axes.axvline(100 * chance(summary), color=NEUTRAL, ls=":", lw=1.2)


def chance(summary: dict) -> float:
    """What guessing reaches, 0…1: top-1 of one class, or mAP of a random ranking, in the limit."""
    return min(
        sum(split["class_videos"][name]["test"] for name in tested)
        / (len(tested) * split["test_videos"])
        for split in summary["splits"]
        if (tested := split["fused"]["per_class"])
    )
