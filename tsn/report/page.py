"""The page that shows a whole run: one HTML file with everything in it, read offline."""

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from tsn.evaluation.metrics import MEASURES, main_measure
from tsn.evaluation.predictions import (
    NO_PREDICTION,
    SplitPredictions,
    confusion_matrix,
    effect_of_fusion,
    most_confused,
)
from tsn.models.modality import FUSED
from tsn.report.accuracies import chance, rows_of
from tsn.report.clips import Strip
from tsn.report.motion import MUCH_CLIPPED, Motion
from tsn.report.published import published_accuracy
from tsn.report.style import colour, name
from tsn.runtime.progress import duration

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Content:
    """What a page is made from.

    Attributes:
        summary: of all splits (see tsn.evaluation.summary).
        predictions: of all splits, in their order.
        figures: SVG files by what they show, see `tsn.report.results.FIGURES`.
        strips: what was drawn into `strips_folder`.
        strips_folder: where their images are.
        saliency: images, named as strips, that show where networks look.
        motion: what the flow of the data set is like.
    """

    summary: dict
    predictions: list[SplitPredictions]
    figures: dict[str, Path]
    strips: list[Strip]
    strips_folder: Path
    saliency: list[Path]
    motion: Motion


def render(content: Content) -> str:
    """The page as HTML; it refers to nothing outside itself and runs no script."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, duration=duration, name=name)
    summary, splits = content.summary, content.predictions
    html = environment.get_template("page.html.jinja2").render(
        style=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        summary=summary,
        table=accuracy_table(summary),
        best=best_single(summary),
        chance=chance(summary),
        classes=len(splits[0].classes),
        titles=[title for name, title in MEASURES.items() if name in summary["mean"]["fused"]],
        main=summary["mean"]["fused"][main_measure(summary["mean"]["fused"])],
        effect=effect_of_fusion(splits),
        confusions=most_confused(confusion_matrix(splits), splits[0].classes),
        figures={key: inline(path) for key, path in content.figures.items()},
        strips=[
            (s, data_uri(content.strips_folder / s.file), predictions_for(s.id, splits[0]))
            for s in content.strips
        ],
        saliency={path.stem: data_uri(path) for path in content.saliency},
        motion=content.motion,
        much_clipped=MUCH_CLIPPED,
        config=json.dumps(summary["config"], indent=2),
    )
    # Names of videos may hold bytes that are not UTF-8, which no browser shows.
    return html.encode(errors="replace").decode()


def percent(fraction: float) -> str:
    """A fraction as percent with one digit.

    Examples:
        >>> percent(0.935)
        '93.5'
    """
    return f"{100 * fraction:.1f}"


def inline(path: Path) -> Markup:
    """An SVG as a part of the page, so that a search finds the names in it.

    What HTML has no use for is left out: declarations, and the addresses that name them.
    """
    drawing = path.read_text(encoding="utf-8")
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, count=1, flags=re.DOTALL)
    return Markup(re.sub(r' xmlns(:\w+)?="[^"]*"', "", drawing, count=2))


def data_uri(path: Path) -> str:
    """A JPEG or a PNG as an address that holds all of it."""
    kind = "png" if path.suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


@dataclass(frozen=True)
class Row:
    """A row of the accuracy table: the main measure (0…1), mean and by split, and further ones.

    `published` is in percent, for the mean of the splits, or for the only one.
    """

    title: str
    fused: bool
    colour: str
    weights: dict[str, float]
    splits: list[float]
    main: float
    others: list[float]
    published: float | None


def accuracy_table(summary: dict) -> list[Row]:
    """The accuracies of a summary, row by row."""
    splits = summary["splits"]
    level = splits[0]["split"] if len(splits) == 1 else "mean"
    by_split = [rows_of(split) for split in splits]
    main = main_measure(summary["mean"]["fused"])
    return [
        Row(
            title,
            title == FUSED,
            colour(FUSED if title == FUSED else key),
            entry.get("weights", {}),
            [rows[place][2][main] for rows in by_split],
            entry[main],
            [entry[name] for name in MEASURES if name in entry and name != main],
            published_accuracy(summary["layout"], level, key),
        )
        for place, (title, key, entry) in enumerate(rows_of(summary["mean"]))
    ]


def best_single(summary: dict) -> tuple[str, float]:
    """The modality with the highest mean of the main measure, and that measure (0…1)."""
    modalities = summary["mean"]["modalities"]
    main = main_measure(next(iter(modalities.values())))
    best = max(modalities, key=lambda modality: modalities[modality][main])
    return best, modalities[best][main]


def predictions_for(video_id: str, split: SplitPredictions) -> list[tuple[str, str, bool]]:
    """Predictions for a video: modality or `FUSED`, class ("" for none), whether it is correct."""
    if video_id not in split.ids:
        return []
    place = split.ids.index(video_id)
    return [
        (
            scores,
            "" if labels[place] == NO_PREDICTION else split.classes[labels[place]],
            bool(split.correct[scores][place]),
        )
        for scores, labels in split.predicted.items()
    ]
