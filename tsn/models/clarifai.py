"""The Clarifai network: the backbone of the two-stream ConvNets that the TSN paper starts from.

Zeiler & Fergus 2014 in the form of CNN-M-2048 (Chatfield et al. 2014, table 1), as two-stream
networks use it (Simonyan & Zisserman 2014, figure 1); the rounding of sizes, the padding and the
constants of the response normalisation are those of the published Caffe model
(VGG_CNN_M_2048_deploy.prototxt). Layers have Caffe's names.
"""

import torch
from torch import nn
from torch.nn import functional

GRID = 6
"""Side of the last feature map for an image of 224 px."""

HIDDEN = 4096, 2048
"""Units of fc6 and fc7."""

DROPOUT = 0.5
"""After fc6 and fc7."""


class Clarifai(nn.Module):
    """The network: (N, 3, H, W) float -> (N, num_classes) scores; 2048 features before them.

    Convolutions start from Kaiming-normal weights, the three last layers from N(0, .01), as
    torchvision's VGG does; all from torch's global generator.
    """

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, 2)
        self.conv2 = nn.Conv2d(96, 256, 5, 2, 1)
        self.conv3 = nn.Conv2d(256, 512, 3, 1, 1)
        self.conv4 = nn.Conv2d(512, 512, 3, 1, 1)
        self.conv5 = nn.Conv2d(512, 512, 3, 1, 1)
        self.norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
        self.fc6 = nn.Linear(512 * GRID * GRID, HIDDEN[0])
        self.drop6 = nn.Dropout(DROPOUT)
        self.fc7 = nn.Linear(*HIDDEN)
        self.drop7 = nn.Dropout(DROPOUT)
        self.fc8 = nn.Linear(HIDDEN[1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score normalised images (N, 3, H, W) float.

        At other sizes than 224 px the last feature map is brought to 6 x 6 by averaging or
        repeating, as in torchvision's VGG.
        """
        x = _halve(self.norm(functional.relu(self.conv1(x))))
        x = _halve(self.norm(functional.relu(self.conv2(x))))
        for conv in (self.conv3, self.conv4, self.conv5):
            x = functional.relu(conv(x))
        x = functional.adaptive_avg_pool2d(_halve(x), GRID).flatten(1)
        x = self.drop6(functional.relu(self.fc6(x)))
        x = self.drop7(functional.relu(self.fc7(x)))
        return self.fc8(x)


def _halve(x: torch.Tensor) -> torch.Tensor:
    return functional.max_pool2d(x, 3, 2, ceil_mode=True)
