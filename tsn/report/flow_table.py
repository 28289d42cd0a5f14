"""The table of flow algorithms: accuracy of the same network on the flow of each, and its cost."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tsn.datasets.index import class_names, members, read_index
from tsn.datasets.records import Video
from tsn.evaluation.fusion import check_index, fuse
from tsn.evaluation.metrics import metrics
from tsn.evaluation.scores import Scores, read_scores
from tsn.report.flow_plan import flow_scores, rgb_scores
from tsn.report.markdown import cell_text, weights_text
from tsn.runtime.job import benchmark_seconds
from tsn.shards.store import ShardSet


def fill_flow_table(
    plan: dict, index: Path | str, shards: dict[str, list[str]], results: str
) -> dict:
    """Fill the rows of the table.

    Args:
        plan: from `tsn.report.flow_plan.plan_flow_table`.
        index: `index.tsv` of the data set.
        shards: files of the flow shards, by the rows' data sets.
        results: the folder of all results.

    Returns:
        The plan, with "alone" and "fused" (top-1 accuracy, 0…1, mean of the splits; "fused" is None
        without RGB), "pairs" (of frames) and "ms" (wall time of the flow stage per pair; None where
        Snakemake kept no times) in each row.

    Raises:
        UserError: scores do not match one another, or the index.
    """
    videos = read_index(index)
    classes = tuple(class_names(videos))
    alone: list[list[float]] = [[] for _ in plan["rows"]]
    fused: list[list[float]] = [[] for _ in plan["rows"]]
    for split in plan["splits"]:
        tested = members(videos, split, "test")
        labels = np.array([video.label for video in tested])

        def read(path: str, split: int = split) -> Scores:
            # The data sets have the same videos: only their names differ.
            scores = replace(read_scores(path, plan["pooling"]), dataset=plan["dataset"])
            check_index(scores, videos, split)
            return scores

        rgb = [read(path) for path in rgb_scores(plan, split, results)]
        for row, path in enumerate(flow_scores(plan, split, results)):
            flow = read(path)
            only = fuse([flow], {"flow": 1.0}, tested)
            alone[row].append(metrics(only, labels, classes)["top1"])
            if rgb:
                both = fuse([*rgb, flow], plan["weights"], tested, plan["fuse"])
                fused[row].append(metrics(both, labels, classes)["top1"])
    return {
        **plan,
        "rows": [
            {
                **row,
                "alone": float(np.mean(alone[n])),
                "fused": float(np.mean(fused[n])) if fused[n] else None,
                **_cost(shards[row["dataset"]], videos, Path(results) / row["dataset"]),
            }
            for n, row in enumerate(plan["rows"])
        ],
    }


def _cost(shards: list[str], videos: list[Video], folder: Path) -> dict:
    store = ShardSet(shards)
    pairs = sum(store.length(video.id) for video in videos if store.usable(video.id))
    files = [folder / "benchmarks" / "compute_flow" / f"{Path(s).stem}.tsv" for s in shards]
    if not pairs or not all(file.is_file() for file in files):
        return {"pairs": pairs, "ms": None}
    seconds = sum(sum(benchmark_seconds(file)) for file in files)
    return {"pairs": pairs, "ms": 1e3 * seconds / pairs}


def flow_table_markdown(table: dict) -> str:
    """The table as Markdown; accuracies in percent."""
    first = table["rows"][0]
    lines = [
        f"# Flow algorithms: {table['dataset']}",
        "",
        "| flow | data set | alone | fused | ms a pair |",
        "|---|---|---:|---:|---:|",
    ]
    for row in table["rows"]:
        cells = [_description(row["flow"], first["flow"]), cell_text(row["dataset"])]
        cells += ["" if row[k] is None else f"{100 * row[k]:.1f}" for k in ("alone", "fused")]
        cells.append("" if row["ms"] is None else f"{row['ms']:.3g}")
        lines.append(f"| {' | '.join(cells)} |")
    fusion = f" Fused: {weights_text(table['weights'])}." if table["rgb"] else ""
    splits = ", ".join(map(str, table["splits"]))
    lines += [
        "",
        f"Top-1 accuracy in percent of experiment {table['experiment']}, mean of the splits "
        f"({splits}).{fusion} Cost: wall time of the flow stage, from videos to shards, per pair "
        f"of frames ({first['pairs']} pairs).",
    ]
    return "\n".join(lines) + "\n"


def _description(flow: dict, first: dict) -> str:
    """The algorithm, and the keys that differ from those of the first row."""
    flat, base = ({**block, **block["params"]} for block in (flow, first))
    differing = [
        f"{key} {value}"
        for key, value in flat.items()
        if key not in ("params", "algorithm") and value != base[key]
    ]
    return cell_text(", ".join([flow["algorithm"], *differing]))
