"""mmaction2 for the benchmarks that compare with it, in an environment of its own.

In the project's folder:

    python -m venv mmaction2-env
    mmaction2-env/bin/pip install --editable . "setuptools<81" scipy einops decord
    mmaction2-env/bin/pip install mmengine mmcv-lite==2.1.0
    mmaction2-env/bin/pip install --no-deps mmaction2==1.2.0

mmaction2's wheel lacks mmaction.models.localizers.drn, which is stood in for here.
"""

import sys
import types
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
drn = types.ModuleType("mmaction.models.localizers.drn.drn")
drn.DRN = object
sys.modules["mmaction.models.localizers.drn"] = types.ModuleType("mmaction.models.localizers.drn")
sys.modules["mmaction.models.localizers.drn.drn"] = drn

import mmaction  # noqa: E402
from mmaction.registry import MODELS, TRANSFORMS  # noqa: E402
from mmaction.structures import ActionDataSample  # noqa: E402
from mmaction.utils import register_all_modules  # noqa: E402
from mmengine.config import Config  # noqa: E402

CONFIGS = {
    "rgb": "tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py",
    "flow": "tsn_imagenet-pretrained-r50_8xb32_5x1x3-110e_kinetics400-flow.py",
}

__all__ = ["MODELS", "TRANSFORMS", "ActionDataSample", "published", "register_all_modules"]


def published(modality: str) -> Config:
    """The configuration of TSN that mmaction2 ships."""
    folder = Path(mmaction.__file__).parent / ".mim/configs/recognition/tsn"
    return Config.fromfile(folder / CONFIGS[modality])
