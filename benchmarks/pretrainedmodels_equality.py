"""Our BN-Inception and Clarifai networks against pretrainedmodels': equal layers, equal outputs.

pretrainedmodels 0.7.4 holds the public conversion of Caffe's BN-Inception, which tsn-pytorch's
file agrees with, and VGG-M, of which the Clarifai network (CNN-M-2048) is the form with a smaller
fc7. Its networks get random weights and statistics, are saved as its files are, loaded by
`tsn.models.backbones.build_backbone`, and both sides compute the features of the same images: for
BN-Inception in all three forms that are in circulation (pretrainedmodels; tsn-pytorch's ImageNet
file, with BN tensors of shape (1, C) and a classifier called fc; a checkpoint of tsn-pytorch).

In an environment of its own, in the project's folder:

    python -m venv pretrainedmodels-env
    pretrainedmodels-env/bin/pip install --editable . six munch "setuptools<81" wheel
    pretrainedmodels-env/bin/pip install --no-deps --no-build-isolation pretrainedmodels==0.7.4
    pretrainedmodels-env/bin/python benchmarks/pretrainedmodels_equality.py
"""

import re
import tempfile
from pathlib import Path

import torch
from pretrainedmodels.models.bninception import BNInception
from pretrainedmodels.models.vggm import VGGM
from torch import nn

from tsn.models.backbones import build_backbone

VGGM_NAMES = {"features.0": "conv1", "features.4": "conv2", "features.8": "conv3"}
VGGM_NAMES |= {"features.10": "conv4", "features.12": "conv5"}
VGGM_NAMES |= {"classif.0": "fc6", "classif.3": "fc7", "classif.6": "fc8"}


def main() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 3, 224, 224) * 60
    print("network and file | tensors | feature of largest size | difference")
    theirs = randomised(BNInception(), images)
    features = theirs.global_pool(theirs.features(images)).flatten(1)
    for form, state in bn_inception_forms(theirs.state_dict()).items():
        report(f"bn_inception, {form}", "bn_inception", state, images, features)
    vggm = VGGM()
    vggm.classif[3], vggm.classif[6] = nn.Linear(4096, 2048), nn.Linear(2048, 1000)
    vggm = randomised(vggm, images)
    features = vggm.classif[:5](vggm.features(images).flatten(1))
    state = {
        re.sub(r"\w+\.\d+", lambda match: VGGM_NAMES[match[0]], key, count=1): value
        for key, value in vggm.state_dict().items()
    }
    report("clarifai, VGG-M with fc7 of 2048", "clarifai", state, images, features)


def randomised(net: nn.Module, images: torch.Tensor) -> nn.Module:
    """The network in evaluation mode with statistics and affine parameters of its own."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
            layer.momentum = 1.0
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.uniform_(layer.bias, -0.1, 0.1)
    net.train()(images)
    return net.eval()


def bn_inception_forms(state: dict) -> dict[str, object]:
    counted = {key: value for key, value in state.items() if not key.endswith("batches_tracked")}
    with_axis = {
        key.replace("last_linear", "fc"): value[None] if "_bn." in key else value
        for key, value in counted.items()
    }
    trained = {
        f"module.base_model.{key}": value
        for key, value in counted.items()
        if not key.startswith("last_linear")
    }
    trained["module.new_fc.weight"], trained["module.new_fc.bias"] = torch.ones(2, 4), torch.ones(2)
    checkpoint = {"epoch": 80, "arch": "BNInception", "state_dict": trained}
    return {"pretrainedmodels": counted, "tsn-pytorch": with_axis, "TSN checkpoint": checkpoint}


def report(
    what: str, backbone: str, content: object, images: torch.Tensor, expected: torch.Tensor
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "theirs.pth"
        torch.save(content, path)
        net = build_backbone(backbone, str(path)).net.eval()
    features = net(images)
    count = len(net.state_dict())
    gap = (features - expected).abs().max()
    print(f"{what} | {count} | {expected.abs().max():.3f} | {gap:.1e}")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
