"""What a table needs: which score files, fused with which weights, fill which cell.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

from collections.abc import Sequence
from typing import Literal

from tsn.config.experiments import Configuration, Settings, with_seed
from tsn.models.modality import MODALITIES, NAMES
from tsn.report.published import CLASSES, PUBLISHED, Column, Row, Table
from tsn.runtime.errors import UserError


def plan_table(configuration: Configuration, name: str, dataset: str) -> dict:
    """Lay down a table as plain values, fit for `params:`.

    Args:
        configuration: names the table, its rows' experiments and their seeds.
        name: a key of `tables`.
        dataset: a key of `datasets`.

    Returns:
        "name", "dataset", "title", "origin", "setting", "note", "classes" (how many the published
        figures are for, or None), "columns" (titles) and "rows": each with "name", "experiment"
        (None: not run), its "model" and "test" blocks, "fuse" and "pooling" of its fusion (None:
        not run), and one cell per column: "weights" (or "search": each run has its own),
        "published" (percent or None) and "runs": per seed and split, the "experiments" whose
        folders hold the scores, by modality, and where weights are searched for, "searched_by": the
        experiment whose folder holds them. Experiments that are fused are joined by "+". A cell
        that nothing can fill has no runs.

    Raises:
        UserError: there is no such table, or no row of it has an experiment.
    """
    if name not in configuration.tables:
        known = ", ".join(configuration.tables)
        raise UserError(f"tables: there is no {name!r} in the configuration (there are: {known})")
    table_rows = configuration.tables[name]
    if not any(table_rows.values()):
        raise UserError(f"tables.{name}: no row has an experiment; name one in the configuration")
    first = configuration.settings(dataset, next(filter(None, table_rows.values())))
    layout, splits = first.dataset.layout, first.dataset.splits
    table = PUBLISHED.get(name) or _own_table(name, dataset, table_rows, configuration)
    by_name = {row.name: row for row in table.rows}
    names = [*by_name, *(name for name in table_rows if name not in by_name)]
    rows = []
    for row in (by_name.get(name, Row(name)) for name in names):
        experiment = table_rows.get(row.name)
        settings = configuration.settings(dataset, experiment) if experiment else None
        figures = row.figures.get(layout, (None,) * len(table.columns))
        repeated = configuration.table_seeds and not (settings and settings.fusion.experiments)
        seeds: Sequence[int | None] = configuration.table_seeds if repeated else [None]
        cells = []
        for column, published in zip(table.columns, figures, strict=True):
            weights = _weights(column, row, settings)
            runs = [
                run
                for seed in seeds
                for run in _runs(configuration, settings, weights, seed, _splits(column, splits))
            ]
            cells.append({"weights": weights, "published": published, "runs": runs})
        blocks = settings.blocks if settings else {}
        rows.append(
            {
                "name": row.name,
                "experiment": experiment,
                "model": blocks.get("model"),
                "test": blocks.get("test"),
                "fuse": settings.fusion.fuse if settings else None,
                "pooling": settings.fusion.pooling if settings else None,
                "cells": cells,
            }
        )
    return {
        "name": name,
        "dataset": dataset,
        "title": table.title,
        "origin": table.origin,
        "setting": table.setting,
        "note": table.note,
        "classes": CLASSES.get(layout),
        "columns": [column.title for column in table.columns],
        "rows": rows,
    }


def table_inputs(plan: dict, results: str) -> list[str]:
    """The files of scores and of searched weights that a plan reads, each once."""
    runs = [run for row in plan["rows"] for cell in row["cells"] for run in cell["runs"]]
    scores = {path for run in runs for path in score_files(run, plan["dataset"], results)}
    searched = {weights_file(run, plan["dataset"], results) for run in runs if "searched_by" in run}
    return sorted(scores | searched)


def weights_file(run: dict, dataset: str, results: str) -> str:
    """The file of the weights that were searched for one run."""
    return f"{results}/{dataset}/{run['searched_by']}/split{run['split']}/weights.json"


def score_files(run: dict, dataset: str, results: str) -> list[str]:
    """The score files of one run, in the order of its modalities."""
    return [
        f"{results}/{dataset}/{experiment}/split{run['split']}/{modality}/scores.h5"
        for modality, experiments in run["experiments"].items()
        for experiment in experiments.split("+")
    ]


def _own_table(name: str, dataset: str, table_rows: dict, configuration: Configuration) -> Table:
    """A table of the user's: every modality that an experiment of it trains, and its fusion."""
    settings = [configuration.settings(dataset, e) for e in table_rows.values() if e]
    trained = {modality for entry in settings for modality in entry.modalities}
    singles = [Column(NAMES[m], {m: 1.0}, "all") for m in MODALITIES if m in trained]
    return Table(name, "", "", (*singles, Column("fused", split="all")), ())


def _weights(
    column: Column, row: Row, settings: Settings | None
) -> dict[str, float] | Literal["search"]:
    """The table's own weights, or else those of the experiment."""
    weights = column.weights or row.weights
    if weights is None and settings is not None:
        if settings.fusion.weights == "search":
            return "search"
        weights = settings.fusion.chosen_weights
    weights = weights or {}
    return {modality: float(weight) for modality, weight in weights.items() if weight}


def _splits(column: Column, splits: tuple[int, ...]) -> list[int]:
    """The splits of the data set that a column is about: none where it has not that one."""
    if column.split == "all":
        return list(splits)
    wanted = splits[0] if column.split == "first" else column.split
    return [wanted] if wanted in splits else []


def _runs(
    configuration: Configuration,
    settings: Settings | None,
    weights: dict[str, float] | Literal["search"],
    seed: int | None,
    splits: list[int],
) -> list[dict]:
    """The runs of a cell with one seed (None: the experiment's own), one per split."""
    if settings is None:
        return []
    modalities = settings.modalities if weights == "search" else list(weights)
    if not set(modalities) <= set(settings.modalities):
        return []
    dataset = settings.dataset.name
    name = settings.experiment if seed is None else with_seed(settings.experiment, seed)
    fused = settings.fusion.experiments or (name,)
    owners = {
        modality: "+".join(configuration.scored_by(dataset, other, modality) for other in fused)
        for modality in modalities
    }
    number = settings.seed if seed is None else seed
    searched = {"searched_by": name} if weights == "search" else {}
    return [{"seed": number, "split": split, "experiments": owners, **searched} for split in splits]
