"""results/fusion_{dataset}.md: the accuracies for people, beside the published ones."""

from tsn.models.modality import NAMES
from tsn.report.published import CLASSES
from tsn.report.published_means import published
from tsn.runtime.progress import duration


def markdown(summary: dict) -> str:
    """The summary as Markdown tables."""
    parts = [f"# {summary['dataset']}, experiment {summary['experiment']}", ""]
    for split in summary["splits"]:
        counts = f"{split['train_videos']} training, {split['test_videos']} test videos"
        parts += [
            f"## Split {split['split']}: {counts}",
            "",
            *_accuracies(split, summary["layout"], split["split"]),
            "",
        ]
    if len(summary["splits"]) > 1:
        parts += [
            "## Mean of the splits",
            "",
            *_accuracies(summary["mean"], summary["layout"], "mean"),
            "",
        ]
    parts += _quarantined(summary["quarantined"]) + _times(summary["wall_time"])
    engine = next((f["backend"] for f in summary["flow_fingerprint"].values()), None)
    flow = f", flow by {engine}" if engine else ""
    parts.append(
        f"Seed {summary['seed']}, config {summary['config_hash']}, "
        f"code {summary['code_version']}{flow}."
    )
    return "\n".join(parts) + "\n"


def _accuracies(result: dict, layout: str, split: int | str) -> list[str]:
    rows = [(NAMES[name], name, entry) for name, entry in result["modalities"].items()]
    for name, entry in {**result["compare"], "**fused**": result["fused"]}.items():
        parts = sorted(modality for modality, weight in entry["weights"].items() if weight)
        rows.append(
            (f"{cell_text(name)} ({weights_text(entry['weights'])})", "+".join(parts), entry)
        )
    classes = CLASSES.get(layout)
    lines = [
        "| scores | top-1 | top-5 | mean of classes "
        f"| published{f' ({classes} classes)' if classes else ''} |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, key, entry in rows:
        paper = published(layout, split, key)
        cells = [f"{100 * entry[metric]:.1f} %" for metric in ("top1", "top5", "mean_class")]
        lines.append(f"| {name} | {' | '.join(cells)} | {f'{paper:.1f} %' if paper else ''} |")
    return lines


def weights_text(weights: dict[str, float]) -> str:
    """Fusion weights for people, as in "1 RGB + 1.5 optical flow"."""
    return " + ".join(f"{weight:g} {NAMES[name]}" for name, weight in weights.items() if weight)


def _quarantined(entries: list[dict]) -> list[str]:
    if not entries:
        return []
    rows = [
        f"| {cell_text(e['id'])} | {e['status']} | {cell_text(e['message'])} |" for e in entries
    ]
    return [
        f"## {len(entries)} quarantined videos (a test video among them counts as a wrong answer)",
        "",
        "| video | status | reason |",
        "|---|---|---|",
        *rows,
        "",
    ]


def cell_text(text: str) -> str:
    """Names may hold anything; a table cell must not."""
    printable = text.encode(errors="replace").decode()
    return " ".join(printable.replace("|", "\\|").splitlines())


def _times(times: dict) -> list[str]:
    rows = [
        f"| {name} | {entry['jobs']} | {duration(entry['seconds'])} |"
        for name, entry in times.items()
    ]
    return [
        "## Wall time, added up over jobs",
        "",
        "| stage | jobs | h:mm:ss |",
        "|---|---:|---:|",
        *rows,
        "",
    ]
