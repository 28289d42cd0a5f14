"""A finished run of the pipeline: its models, and how their scores are fused."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tsn.config.fields import build
from tsn.config.schema import TestConfig
from tsn.models.modality import MODALITIES
from tsn.runtime.command_line import cores, count
from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of
from tsn.video import FrameSize, Size

if TYPE_CHECKING:  # it imports torch
    from tsn.training.checkpoint import ModelInfo


@dataclass(frozen=True)
class FinishedRun:
    """One split of one experiment.

    Attributes:
        folder: results/{dataset}/{experiment}/split{N}.
        dataset, experiment: their names.
        models: by modality, the model file; it may lie with another experiment
            (`tsn.config.experiments`).
        sha256: by modality, the checksum of the model whose scores were fused.
        shards: by modality, the fingerprint of the shards that it was tested on.
        weights: of the fusion, by modality; those above zero.
        fuse: what is fused, "logits" or "probabilities".
        temperature: of the calibration of its probabilities; 1 for none.
        protocol: the test that the accuracies are of.
    """

    folder: Path
    dataset: str
    experiment: str
    models: dict[str, Path]
    sha256: dict[str, str]
    shards: dict[str, dict]
    weights: dict[str, float]
    fuse: str
    protocol: TestConfig
    temperature: float = 1.0


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of all commands that apply a run: which one, and with which networks."""
    add = parser.add_argument
    add(
        "-e", "--experiment", required=True, metavar="E",
        help="a name as tsn or ucf101/tsn, its folder, or a model.pt",
    )  # fmt: skip
    add("--split", type=count, metavar="N", help="which split's models, if there are several")
    add(
        "--results", default="results", metavar="DIR",
        help="where names are looked up (default: %(default)s)",
    )  # fmt: skip
    add(
        "--modalities", nargs="+", choices=MODALITIES, metavar="M",
        help=f"only these of the fusion: {', '.join(MODALITIES)}",
    )  # fmt: skip
    add(
        "--flow-weights", metavar="FILE",
        help="of RAFT, if the flow was computed with weights of your own",
    )  # fmt: skip
    add(
        "-j", "--threads", type=count, metavar="N", default=cores(),
        help="CPU threads (default: %(default)s)",
    )  # fmt: skip


def run_of(arguments: argparse.Namespace) -> FinishedRun:
    """The run that the options of `add_run_options` name; errors are those of `find_run`."""
    return find_run(arguments.experiment, Path(arguments.results), arguments.split)


def find_run(name: str, results: Path, split: int | None) -> FinishedRun:
    """Find what `--experiment` stands for.

    Args:
        name: a folder (of an experiment, or of one of its splits), or the name of an experiment,
            as "tsn" or "ucf101/tsn"; or a model file, which is a run of one modality.
        results: the folder of all results, where names are looked up.
        split: which one of several; None where there is only one.

    Raises:
        UserError: there is no such run, or several, or it is not finished.
    """
    if name.endswith(".pt"):
        return run_of_model(Path(name))
    return read_run(_split_folder(_experiment_folder(name, results), split))


def _experiment_folder(name: str, results: Path) -> Path:
    given = [folder for folder in (Path(name), results / name) if name and folder.is_dir()]
    # A folder of that name may be no experiment's, such as the package tsn of this project.
    whole = [
        folder
        for folder in given
        if (folder / "fusion.json").is_file() or any(folder.glob("split*/fusion.json"))
    ]
    found = sorted(folder for folder in results.glob("*/*") if folder.name == name)
    if whole or (given and not found):
        return (whole or given)[0]
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(f"{folder.parent.name}/{folder.name}" for folder in found)
        raise UserError(f"--experiment {name}: there are {named}; name one of them")
    raise UserError(
        f"--experiment {name}: there is no such folder, and no such experiment in "
        f"{str(results)!r}; give a folder like results/ucf101/tsn, or say with --results where "
        "results are"
    )


def _split_folder(folder: Path, split: int | None) -> Path:
    if folder.name.startswith("split") and (folder / "fusion.json").is_file():
        if split is not None and folder.name != f"split{split}":
            raise UserError(f"--split {split}: {folder} is another split; leave one of them out")
        return folder
    finished = sorted(path.parent for path in folder.glob("split*/fusion.json"))
    names = ", ".join(path.name for path in finished)
    if not finished:
        if within := sorted({str(path.parents[1]) for path in folder.glob("*/split*/fusion.json")}):
            raise UserError(f"{folder}: is no experiment; name one of {', '.join(within)}")
        raise UserError(
            f"{folder}: no split of it has a fusion.json; "
            f"finish it with snakemake {folder}/fusion.json"
        )
    if split is None and len(finished) > 1:
        raise UserError(f"{folder}: there are {names}; choose one with --split")
    wanted = finished[0] if split is None else folder / f"split{split}"
    if wanted not in finished:
        raise UserError(f"--split {split}: {folder} has only {names}")
    return wanted


def read_run(folder: Path) -> FinishedRun:
    """Read the fusion.json of a split.

    Raises:
        UserError: it is damaged, or of an older version.
    """
    path = folder / "fusion.json"
    try:
        fusion = json.loads(path.read_text(encoding="utf-8"))
        fused, models = fusion["fused"], fusion["models"]
        weights = {modality: weight for modality, weight in fused["weights"].items() if weight}
        dataset_folder = folder.absolute().parent.parent
        several = [m["experiment"] for m in models.values() if "+" in m["experiment"]]
        run = FinishedRun(
            folder,
            fusion["dataset"],
            fusion["experiment"],
            {
                modality: dataset_folder
                / models[modality]["experiment"]
                / folder.name
                / modality
                / "model.pt"
                for modality in weights
            },
            {modality: models[modality]["sha256"] for modality in weights},
            {modality: models[modality]["shards"] for modality in weights},
            weights,
            fused["fuse"],
            build(TestConfig, fusion["protocol"]),
            fusion.get("calibration", {"temperature": 1.0})["temperature"],
        )
    except (UserError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not a whole fusion.json of this version ({type(error).__name__}: {error}); "
            f"make it anew with snakemake --force {path}"
        ) from None
    if several:
        raise UserError(
            f"{folder}: fuses the experiments {several[0].replace('+', ', ')}; name one of these"
        )
    return run


def run_of_model(path: Path) -> FinishedRun:
    """A model file by itself, tested as is usual: 25 snippets of 10 crops, as large as in training.

    Raises:
        UserError: it cannot be loaded.
    """
    from tsn.data.transforms import CENTRE_FRACTION
    from tsn.training.checkpoint import load_model

    _, info = load_model(path)
    size = frame_size(info)
    crop_size = round((size if isinstance(size, int) else min(size)) * CENTRE_FRACTION)
    return FinishedRun(
        path.parent,
        info.dataset,
        info.experiment,
        {info.modality: path},
        {info.modality: sha256_of(path)},
        {info.modality: info.shards},
        {info.modality: 1.0},
        "logits",
        TestConfig(segments=25, crops=10, crop_size=crop_size, snippet_sampling="segment_centres"),
    )


def frame_size(info: "ModelInfo") -> FrameSize:
    """Size of the frames that a model was trained on, or their shorter side; else the usual."""
    if "short_side" in info.shards:
        return cast(int, info.shards["short_side"])
    width, height = cast(Size, info.shards.get("size", (340, 256)))
    return width, height
