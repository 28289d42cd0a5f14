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


@cache
def torchvision_names() -> list[str]:
    """The classification models that torchvision registers, read from its source."""
    spec = find_spec("torchvision")
    assert spec is not None and spec.origin is not None
    models = Path(spec.origin).parent / "models"
    sources = (path.read_text(encoding="utf-8") for path in sorted(models.glob("*.py")))
    return [name for source in sources for name in _REGISTERED.findall(source)]
