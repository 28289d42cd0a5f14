"""What the table of flow algorithms needs: data sets of the same videos with other flow.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

from dataclasses import replace

from tsn.config.experiments import Configuration, Settings
from tsn.config.fields import plain
from tsn.runtime.errors import UserError

WEIGHTS = {"rgb": 1.0, "flow": 1.5}
"""Of the fusion (Wang et al. 2016), whatever those of the experiment's modalities are."""


def plan_flow_table(configuration: Configuration, dataset: str) -> dict:
    """Lay down the table of a data set as plain values, fit for `params:`.

    Its rows are the data set itself and every other one of the configuration that differs from it
    in nothing but `flow`.

    Returns:
        "rows", none if there is no other data set, each with "dataset", "flow" (its block) and
        "experiment" (whose folder has its scores of flow). If there are any, also "dataset",
        "experiment", "splits", "weights" (of RGB and flow), "pooling", "fuse" and "rgb" (the
        experiment whose folder has the RGB scores, None without RGB).
    """
    own = configuration.settings(dataset, configuration.experiment)
    others = [
        other
        for name in configuration.datasets
        if name != dataset
        and _same(own, other := configuration.unchecked_settings(name, own.experiment))
    ]
    if not others:
        return {"rows": []}
    has_rgb = "rgb" in own.modalities
    return {
        "dataset": dataset,
        "experiment": own.experiment,
        "weights": WEIGHTS,
        "pooling": own.fusion.pooling,
        "fuse": own.fusion.fuse,
        "splits": list(own.dataset.splits),
        "rgb": configuration.scored_by(dataset, own.experiment, "rgb") if has_rgb else None,
        "rows": [
            {
                "dataset": row.dataset.name,
                "flow": plain(row.flow),
                "experiment": configuration.scored_by(row.dataset.name, row.experiment, "flow"),
            }
            for row in (own, *others)
        ],
    }


def flow_table_inputs(plan: dict, results: str) -> list[str]:
    """The score files that a plan reads.

    Raises:
        UserError: it has no rows.
    """
    if not plan["rows"]:
        raise UserError(
            "table of flow: no other data set of the configuration has the same videos and other "
            "flow; add one with the same keys and an override of flow (docs/flow.md)"
        )
    return [
        path
        for split in plan["splits"]
        for path in [*rgb_scores(plan, split, results), *flow_scores(plan, split, results)]
    ]


def rgb_scores(plan: dict, split: int, results: str) -> list[str]:
    """The file of the RGB scores of a split, if RGB takes part."""
    owner = plan["rgb"]
    return [f"{results}/{plan['dataset']}/{owner}/split{split}/rgb/scores.h5"] if owner else []


def flow_scores(plan: dict, split: int, results: str) -> list[str]:
    """The files of the flow scores of a split, one for each row."""
    return [
        f"{results}/{row['dataset']}/{row['experiment']}/split{split}/flow/scores.h5"
        for row in plan["rows"]
    ]


def _same(own: Settings, other: Settings) -> bool:
    """Whether a data set differs from another in its flow, and in nothing else that counts."""
    if not {"flow"} <= {*own.modalities} & {*other.modalities} or own.flow == other.flow:
        return False

    def rest(settings: Settings) -> tuple:
        network = settings.models["flow"], settings.trainings["flow"], settings.seed, settings.test
        return settings.data, settings.frames, *network

    same_videos = replace(other.dataset, name=own.dataset.name) == own.dataset
    return same_videos and rest(own) == rest(other)
