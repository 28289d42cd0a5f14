"""Which parts of a list or a folder (train, val, test …) are trained and tested on; folds."""

from collections.abc import Iterable

from tsn.config.datasets import OwnSplits
from tsn.datasets.scan import Scan

PARTS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validate", "validation", "dev"),
    "test": ("test", "testing"),
}
"""Names that lists and folders give their parts."""


def has_parts(found: Scan) -> bool:
    """Whether folders are parts such as train and val, and not classes.

    Others may lie beside them, if those are sure to be no classes: they hold folders themselves.
    """
    kinds = {kind_of(name) for name in found.folders}
    deep = (path.split("/")[0] for path in [*found.files, *found.others] if path.count("/") > 1)
    return (
        "train" in kinds
        and len(kinds - {None}) > 1
        and (None not in kinds or any(map(kind_of, deep)))
    )


def kind_of(part: str) -> str | None:
    """What a part is: "train", "val" or "test"; None if its name is none of theirs."""
    return next((kind for kind, names in PARTS.items() if part.lower() in names), None)


def sides_of(found: Iterable[str], dataset: OwnSplits) -> dict[str, str | None]:
    """What is done with each part, by its name: "train", "test", or None for neither.

    `parts` of the data set says so. Otherwise a validation part is tested on if there is no test
    part (Kinetics), trained on if there is no training part (THUMOS14), and else left out.
    """
    kinds = {kind_of(part) for part in found}
    validation = "test" if "test" not in kinds else "train" if "train" not in kinds else None
    sides = {"train": "train", "test": "test", "val": validation}
    return {part: dataset.parts.get(part, sides.get(kind_of(part) or "")) for part in found}
