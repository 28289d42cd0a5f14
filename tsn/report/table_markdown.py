"""A filled table for people: our accuracies beside the published ones."""

from tsn.report.fusion_table import cell_text, weights_text


def markdown(table: dict) -> str:
    """The table as Markdown; top-1 accuracies in percent, what was not run is empty."""
    columns = range(len(table["columns"]))
    published = [
        any(row["cells"][n]["published"] is not None for row in table["rows"]) for n in columns
    ]
    head, rule = ["", "experiment"], ["---", "---"]
    for title, beside in zip(table["columns"], published, strict=True):
        head += [f"**{title}**", table["origin"]] if beside else [f"**{title}**"]
        rule += ["---:", "---:"] if beside else ["---:"]
    lines = [f"# {table['title']}: {table['dataset']}", "", _line(head), _line(rule)]
    for row in table["rows"]:
        cells = [cell_text(row["name"]), row["experiment"] or ""]
        for cell, beside in zip(row["cells"], published, strict=True):
            cells.append(_ours(cell["ours"]))
            if beside:
                figure = cell["published"]
                cells.append("" if figure is None else f"{figure:.1f}")
        lines.append(_line(cells))
    return "\n".join([*lines, "", *_notes(table, any(published))]) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ours(ours: dict | None) -> str:
    if ours is None:
        return ""
    spread = "" if ours["spread"] is None else f" ± {100 * ours['spread']:.1f}"
    return f"{100 * ours['top1']:.1f}{spread}"


def _notes(table: dict, published: bool) -> list[str]:
    ours = [cell["ours"] for row in table["rows"] for cell in row["cells"] if cell["ours"]]
    notes = ["Top-1 accuracy in percent; what was not run or does not apply is empty."]
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
    shared = {
        title: weights_text(weights)
        for title, *cells in zip(
            table["columns"], *(row["cells"] for row in table["rows"]), strict=True
        )
        if len(weights := cells[0]["weights"]) > 1
        and all(cell["weights"] == weights for cell in cells)
    }
    notes += [f"Fusion of {title}: {weights}." for title, weights in shared.items()]
    if not shared:
        notes += [
            f"Fusion of {cell_text(row['name'])}: {weights_text(row['cells'][0]['weights'])}."
            for row in table["rows"]
            if len(row["cells"][0]["weights"]) > 1
        ]
    return [line for note in [*notes, table["note"]] if note for line in (note, "")][:-1]


def _blocks(table: dict, name: str) -> list[dict]:
    return [row[name] for row in table["rows"] if row[name]]


def _seeds(ours: list[dict]) -> str:
    seeds = sorted({run["seed"] for entry in ours for run in entry["runs"]})
    if len(seeds) == 1:
        return f"; seed {seeds[0]}"
    named = ", ".join(map(str, seeds))
    return f"; mean ± sample standard deviation over the seeds {named}"
