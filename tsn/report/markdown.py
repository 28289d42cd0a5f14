"""Results as Markdown: results/fusion_{dataset}.md and results/tables/{table}_{dataset}.md."""

from tsn.evaluation.metrics import MEASURES, main_measure
from tsn.models.modality import NAMES
from tsn.report.published import CLASSES, published_accuracy
from tsn.runtime.progress import duration


def summary_markdown(summary: dict) -> str:
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
    flow = "".join(f", {_flow_text(f)}" for f in list(summary["flow_fingerprint"].values())[:1])
    parts.append(
        f"Seed {summary['seed']}, config {summary['config_hash']}, "
        f"code {summary['code_version']}{flow}."
    )
    return "\n".join(parts) + "\n"


def _flow_text(fingerprint: dict) -> str:
    algorithm = fingerprint["algorithm"].removeprefix("warped ")
    engine = fingerprint.get(algorithm, fingerprint)["backend"]
    return f"flow by {engine}" if algorithm == "tvl1" else f"flow by {algorithm} ({engine})"


def _accuracies(result: dict, layout: str, split: int | str) -> list[str]:
    rows = [(NAMES[name], name, entry) for name, entry in result["modalities"].items()]
    for name, entry in {**result["compare"], "**fused**": result["fused"]}.items():
        parts = sorted(modality for modality, weight in entry["weights"].items() if weight)
        rows.append(
            (f"{cell_text(name)} ({weights_text(entry['weights'])})", "+".join(parts), entry)
        )
    classes = CLASSES.get(layout)
    measures = [name for name in MEASURES if name in result["fused"]]
    head = ["scores", *(MEASURES[name] for name in measures)]
    head.append(f"published ({classes} classes)" if classes else "published")
    lines = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
    for name, key, entry in rows:
        paper = published_accuracy(layout, split, key)
        cells = [f"{100 * entry[measure]:.1f} %" for measure in measures]
        lines.append(_row([name, *cells, f"{paper:.1f} %" if paper else ""]))
    return lines


def weights_text(weights: dict[str, float]) -> str:
    """Fusion weights for people, as in "1 RGB + 1.5 optical flow"."""
    return " + ".join(f"{weight:.3g} {NAMES[name]}" for name, weight in weights.items() if weight)


def _quarantined(entries: list[dict]) -> list[str]:
    if not entries:
        return []
    rows = [
        f"| {cell_text(e['id'])} | {e['status']} | {cell_text(e['message'])} |" for e in entries
    ]
    return [
        f"## {len(entries)} quarantined videos (a test video among them counts as misclassified)",
        "",
        "| video | status | reason |",
        "|---|---|---|",
        *rows,
        "",
    ]


def cell_text(text: str) -> str:
    """Escape a name for a table cell."""
    plain = text.encode(errors="replace").decode()
    return " ".join(plain.replace("|", "\\|").splitlines())


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


def table_markdown(table: dict) -> str:
    """The table as Markdown; main measures in percent, what was not run is empty."""
    columns = range(len(table["columns"]))
    published = [
        any(row["cells"][n]["published"] is not None for row in table["rows"]) for n in columns
    ]
    head, rule = ["", "experiment"], ["---", "---"]
    for title, beside in zip(table["columns"], published, strict=True):
        head += [f"**{title}**", table["origin"]] if beside else [f"**{title}**"]
        rule += ["---:", "---:"] if beside else ["---:"]
    lines = [f"# {table['title']}: {table['dataset']}", "", _row(head), _row(rule)]
    for row in table["rows"]:
        cells = [cell_text(row["name"]), row["experiment"] or ""]
        for cell, beside in zip(row["cells"], published, strict=True):
            cells.append(_cell(cell["ours"]))
            if beside:
                figure = cell["published"]
                cells.append("" if figure is None else f"{figure:.1f}")
        lines.append(_row(cells))
    return "\n".join([*lines, "", *_table_notes(table, any(published))]) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(ours: dict | None) -> str:
    if ours is None:
        return ""
    spread = "" if ours["spread"] is None else f" ± {100 * ours['spread']:.1f}"
    return f"{100 * ours[main_measure(ours)]:.1f}{spread}"


def _table_notes(table: dict, published: bool) -> list[str]:
    ours = [cell["ours"] for row in table["rows"] for cell in row["cells"] if cell["ours"]]
    what = "mAP" if any("map" in entry for entry in ours) else "Top-1 accuracy"
    notes = [f"{what} in percent; what was not run or does not apply is empty."]
    tested = ", ".join(
        f"split {split}: {count['videos']} test videos of {count['classes']} classes"
        for split, count in sorted(table["tested"].items(), key=lambda item: int(item[0]))
    )
    networks = {f"{m['backbone']} at {m['input_size']} px" for m in _blocks(table, "model")}
    tests = {f"{t['segments']} snippets x {t['crops']} crop(s)" for t in _blocks(table, "test")}
    notes.append(
        f"Ours (bold): {', '.join(sorted(networks))}, {', '.join(sorted(tests))}; {tested}"
        f"{_seeds(ours)}; code {table['code_version']}."
    )
    if published:
        classes = f", {table['classes']} classes" if table["classes"] else ""
        notes.append(f"{table['origin'].capitalize()}: {table['setting']}{classes}.")
    common = {
        title: weights_text(weights)
        for title, *cells in zip(
            table["columns"], *(row["cells"] for row in table["rows"]), strict=True
        )
        if len(weights := cells[0]["weights"]) > 1
        and all(cell["weights"] == weights for cell in cells)
    }
    notes += [f"Fusion of {title}: {weights}." for title, weights in common.items()]
    if not common:
        for row in table["rows"]:
            weights = max((cell["weights"] for cell in row["cells"]), key=len)
            if len(weights) > 1:
                notes.append(f"Fusion of {cell_text(row['name'])}: {weights_text(weights)}.")
    if any("searched_by" in run for entry in ours for run in entry["runs"]):
        notes.append("Searched weights are those of held-out training videos, mean of the runs.")
    probabilities = [
        cell_text(row["name"]) for row in table["rows"] if row["fuse"] == "probabilities"
    ]
    if probabilities:
        notes.append(f"Probabilities are fused instead of logits in: {', '.join(probabilities)}.")
    return [line for note in [*notes, table["note"]] if note for line in (note, "")][:-1]


def _blocks(table: dict, name: str) -> list[dict]:
    return [row[name] for row in table["rows"] if row[name]]


def _seeds(ours: list[dict]) -> str:
    seeds = sorted({run["seed"] for entry in ours for run in entry["runs"]})
    if len(seeds) == 1:
        return f"; seed {seeds[0]}"
    named = ", ".join(map(str, seeds))
    return f"; mean ± sample standard deviation over the seeds {named}"
