"""results/fusion_{dataset}.json: all splits, their mean, and how they came about."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tsn.evaluation.fusion import merge_experiments
from tsn.evaluation.metrics import MEASURES
from tsn.evaluation.scores import read_scores
from tsn.models.modality import FLOW_MODALITIES, MODALITIES
from tsn.runtime.job import benchmark_seconds, code_version, package_versions
from tsn.shards.quarantine import read_quarantine


@dataclass(frozen=True)
class Sources:
    """What a summary is made from: names, configuration blocks, and files of earlier stages.

    `owners` says by stage (train_model, score_videos) and modality which experiments did the work.
    """

    dataset: str
    experiment: str
    layout: str
    blocks: dict
    splits: list[str]
    scores: list[str]
    quarantine: str
    benchmarks: str
    owners: dict[str, dict[str, list[str]]]


def summarise(sources: Sources) -> dict:
    """The content of fusion.json; accuracies are fractions, 0…1, wall times seconds."""
    splits = [json.loads(Path(path).read_text(encoding="utf-8")) for path in sources.splits]
    scores = merge_experiments([read_scores(path) for path in sources.scores])
    flows = {s.modality: s.shards for s in scores if s.modality in FLOW_MODALITIES}
    plain = json.dumps(sources.blocks, sort_keys=True)
    return {
        "dataset": sources.dataset,
        "layout": sources.layout,
        "experiment": sources.experiment,
        "mean": mean_of(splits),
        "splits": splits,
        "quarantined": [asdict(entry) for entry in read_quarantine(sources.quarantine)],
        "flow_fingerprint": flows,
        "models": {f"split{s.split}/{s.modality}": s.model for s in scores},
        "seed": sources.blocks["seed"],
        "config": sources.blocks,
        "config_hash": hashlib.sha256(plain.encode()).hexdigest()[:16],
        "code_version": code_version(),
        "packages": package_versions(),
        "wall_time": wall_times(Path(sources.benchmarks), sources.experiment, sources.owners),
    }


def mean_of(splits: list[dict]) -> dict:
    """Accuracies averaged over the splits, in the shape that each split has."""

    def mean(entries: list[dict]) -> dict:
        measured = [name for name in MEASURES if name in entries[0]]
        return {name: float(np.mean([entry[name] for entry in entries])) for name in measured}

    first = splits[0]
    return {
        "modalities": {m: mean([s["modalities"][m] for s in splits]) for m in first["modalities"]},
        "fused": {
            **mean([s["fused"] for s in splits]),
            # Searched weights differ from split to split.
            "weights": {
                name: float(np.mean([s["fused"]["weights"][name] for s in splits]))
                for name in first["fused"]["weights"]
            },
        },
        "compare": {
            name: {**mean([s["compare"][name] for s in splits]), "weights": entry["weights"]}
            for name, entry in first["compare"].items()
        },
    }


def wall_times(
    folder: Path, experiment: str, owners: dict[str, dict[str, list[str]]]
) -> dict[str, dict]:
    """Seconds per stage, added up over its jobs, from Snakemake's benchmark files.

    Of stages that belong to experiments, only the jobs of this experiment count, and those that
    others did for it (`owners`, see `Sources`); tables belong to none. Training and test are
    also split by modality.
    """
    seconds: dict[str, list[float]] = {}
    for file in sorted(folder.glob("*/*.tsv")):
        stage, job = file.parent.name, file.stem
        run = _RUN.fullmatch(job)
        modality = run["modality"] if run else None
        whose = run["experiment"] if run else job if stage in _PER_EXPERIMENT else None
        own = owners.get(stage, {}).get(modality or "", [experiment])
        if stage in _OF_NO_EXPERIMENT or whose not in (None, *own):
            continue
        took = sum(benchmark_seconds(file))
        for name in (stage, f"{stage}/{modality}") if modality else (stage,):
            seconds.setdefault(name, []).append(took)
    return {
        name: {"seconds": round(sum(took), 1), "jobs": len(took)}
        for name, took in sorted(seconds.items())
    }


_RUN = re.compile(rf"(?P<experiment>.+)\.split\d+(?:\.(?P<modality>{'|'.join(MODALITIES)}))?")
_PER_EXPERIMENT = ("summarise_fusion", "draw_results", "write_report")
"""Stages whose benchmark files are named by the experiment alone."""

_OF_NO_EXPERIMENT = ("fill_table", "fill_flow_table")
"""Stages that compare experiments or data sets."""
