"""Names of backbones, read without importing torch: the Snakefile checks them as it is parsed."""

import difflib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tsn.runtime.errors import UserError

OWN = ("bn_inception", "clarifai", "efficientnet_lite0")
"""Networks of this package."""

_REGISTERED = re.compile(r"^@register_model\(\)\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)

_V2 = re.compile(
    r"^class (\w+)_Weights\(WeightsEnum\):\n(?:(?!class ).*\n)*?    IMAGENET1K_V2 = ", re.MULTILINE
)
"""A class of weights that has a second ImageNet recipe."""


def backbone_names() -> list[str]:
    """All backbones without those of timm."""
    return [*OWN, *torchvision_names()]


def check_name(name: str) -> None:
    """Check that there is a backbone of this name; of timm's, only that timm is installed.

    Raises:
        UserError: there is none; suggests some.
    """
    if name.startswith("timm:"):
        if find_spec("timm") is None:
            raise UserError(f"the backbone {name} needs the package timm: pip install timm")
    elif name not in (known := backbone_names()):
        close = difflib.get_close_matches(name, known) or known[:3]
        raise UserError(f"unknown backbone {name!r}: did you mean {', '.join(close)}?")


def has_imagenet_v2(name: str) -> bool:
    """Whether torchvision has weights IMAGENET1K_V2 of a model."""
    return any(found.lower() == name for source in _sources() for found in _V2.findall(source))


def torchvision_names() -> list[str]:
    """The classification models that torchvision registers, read from its source."""
    return [name for source in _sources() for name in _REGISTERED.findall(source)]


@cache
def _sources() -> list[str]:
    spec = find_spec("torchvision")
    assert spec is not None and spec.origin is not None
    models = Path(spec.origin).parent / "models"
    return [path.read_text(encoding="utf-8") for path in sorted(models.glob("*.py"))]
