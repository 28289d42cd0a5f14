"""Figure of the run times: which stage took how long."""

from pathlib import Path

from tsn.models.modality import FUSED, MODALITIES
from tsn.report.style import colour, figure, name
from tsn.runtime.progress import duration

STAGES = {
    "render_demo": ("render the demo", ""),
    "index_videos": ("list the videos", ""),
    "decode_frames": ("decode frames", "rgb"),
    "compute_flow": ("optical flow", "flow"),
    "compute_warped_flow": ("warped flow", "warped_flow"),
    "check_shards": ("check shards", ""),
    "list_quarantined": ("list quarantined videos", ""),
    "train_model": ("train", ""),
    "score_held_out": ("score held-out videos", ""),
    "search_weights": ("search fusion weights", FUSED),
    "score_videos": ("test", ""),
    "fuse_scores": ("fuse", FUSED),
}
"""Rules in the order in which data pass them: what they do, and the scores that they are for."""


def stages_of(times: dict[str, dict]) -> list[tuple[str, str, dict]]:
    """Stages in the order of the data; training and test by modality, not in sum.

    Args:
        times: `wall_time` of a summary: rule, or rule/modality, -> seconds and jobs.

    Returns:
        What the stage does, the modality or `FUSED` that it is for ("" for none or several),
        seconds and jobs. Rules that are not in `STAGES` come last, under their own names.
    """
    order = list(STAGES)
    parted = {key.partition("/")[0] for key in times if "/" in key}
    rows = []
    for key, entry in times.items():
        rule, _, modality = key.partition("/")
        if key not in parted:
            does, scores = STAGES.get(rule, (rule.replace("_", " "), ""))
            title = f"{does}: {name(modality)}" if modality else does
            place = order.index(rule) if rule in order else len(order)
            within = MODALITIES.index(modality) if modality else 0
            rows.append(((place, within), title, modality or scores, entry))
    rows.sort(key=lambda row: row[0])
    return [(title, scores, entry) for _, title, scores, entry in rows]


def draw_times(path: Path | str, times: dict[str, dict]) -> None:
    """Draw the wall time of every stage, added up over its jobs."""
    rows = stages_of(times)
    longest = max((entry["seconds"] for _, _, entry in rows), default=0) or 1
    unit, seconds = next((u, s) for u, s in _UNITS if longest >= 2 * s or s == 1)
    with figure(path, 7, 0.8 + 0.26 * max(len(rows), 1)) as axes:
        for place, (_, scores, entry) in enumerate(rows):
            shown = entry["seconds"] / seconds
            axes.barh(place, shown, 0.7, color=colour(scores))
            jobs = f"{entry['jobs']} job{'s' if entry['jobs'] != 1 else ''}"
            axes.annotate(
                f"{duration(entry['seconds'])}  ({jobs})",
                (shown, place),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_yticks(range(len(rows)), [title for title, _, _ in rows])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 1.28 * longest / seconds)
        axes.set_xlabel(f"wall time, {unit}, added up over jobs")


_UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))
