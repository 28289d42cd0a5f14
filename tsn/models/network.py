"""The Temporal Segment Network of one modality."""

import warnings

import torch
from torch import nn

from tsn.models.adapt import adapt_first_conv
from tsn.models.backbones import build_backbone
from tsn.models.consensus import build_consensus
from tsn.models.modality import SNIPPET_LENGTH, channels_of
from tsn.models.partial_bn import freeze_batch_norm, has_untrained_statistics
from tsn.models.preprocessing import for_modality
from tsn.runtime.errors import UserError

CLASSIFIER_STD = 0.001
"""Standard deviation of the new classifier's initial weights (tsn-pytorch)."""


class TSN(nn.Module):
    """Snippets to class scores: normalisation, backbone, dropout, classifier, consensus.

    The backbone and its classifier are shared by all snippets (Wang et al. 2016, section 3.1).
    Its parts: `normalise`, `net`, `dropout`, `classifier`, `consensus`; `channels` is the number
    of channels that a snippet must have. The state dict holds the normalisation too. To restore
    a model, build it with weights="none" and the other arguments as before, then load the state.

    Args:
        num_classes: C, number of classes.
        modality: rgb, flow, warped_flow or rgb_diff.
        backbone: name for `build_backbone`.
        weights: weights for `build_backbone`: by name, a path or an address. Those of a TSN of the
            same modality are taken as they are, with their normalisation.
        segments: K of training.
        sha256: checksum of the file, if `weights` is a path or an address.
        consensus: average, max, weighted, or top2, top3, ...
        dropout: probability of dropping a feature before the classifier, 0 <= p < 1; .8 for RGB
            and RGB difference, .7 for flow in the authors' nets.
        partial_bn: freeze all batch normalisation layers but the first, also after `train()`.
            For pretrained backbones: on a random one it freezes layers that do nothing, and
            `train()` warns.
        cross_modality: how a modality other than rgb starts. True: from `weights`, with the
            first convolution averaged over RGB. False: the whole network from scratch, whatever
            `weights` says, as the temporal stream in the paper's row "pre-train spatial";
            partial_bn should be False then.
        snippet_length: flow fields or RGB differences in a snippet; means nothing to rgb.

    Raises:
        UserError: any argument that does not name something known or is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        modality: str,
        backbone: str,
        weights: str,
        segments: int,
        *,
        sha256: str | None = None,
        consensus: str = "average",
        dropout: float = 0.8,
        partial_bn: bool = True,
        cross_modality: bool = True,
        snippet_length: int = SNIPPET_LENGTH,
    ):
        super().__init__()
        if num_classes < 1:
            raise UserError(f"{num_classes} classes: a classifier needs at least 1")
        if not 0 <= dropout < 1:
            raise UserError(f"dropout {dropout} is outside 0 <= p < 1: give a probability")
        self.channels = channels_of(modality, snippet_length)
        self.partial_bn = partial_bn
        if modality != "rgb" and not cross_modality:
            weights, sha256 = "none", None
        base = build_backbone(backbone, weights, sha256, modality)
        if base.channels == 3 and modality != "rgb":
            adapt_first_conv(base.net, self.channels, cross_modality)
        elif base.channels != self.channels:
            raise UserError(
                f"{weights}: these weights take {base.channels} channels, and {modality} has "
                f"{self.channels}: give weights that were trained on RGB, or on {modality} "
                "with as many fields or differences a snippet (model.snippet_length)"
            )
        self.normalise = for_modality(modality, base.preprocessing)
        self.net = base.net
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(base.features, num_classes)
        nn.init.normal_(self.classifier.weight, 0, CLASSIFIER_STD)
        nn.init.zeros_(self.classifier.bias)
        self.consensus = build_consensus(consensus, segments)
        if partial_bn:
            freeze_batch_norm(self.net)

    def train(self, mode: bool = True) -> "TSN":
        """As nn.Module.train, but partial BN stays frozen; warns if it froze untrained layers."""
        super().train(mode)
        if self.partial_bn:
            freeze_batch_norm(self.net)
            if mode and has_untrained_statistics(self.net):
                warnings.warn(
                    "partial BN holds batch normalisation layers at their initial statistics: "
                    "a network that starts from scratch wants partial_bn off",
                    stacklevel=2,
                )
        return self

    def snippet_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Score single snippets, as in testing.

        Args:
            x: (M, C, H, W) uint8 or float on the 0..255 scale: RGB; flow x, y, x, y, ...;
                differences R, G, B, R, ... in -255..255.

        Returns:
            Scores before softmax, float (M, num_classes).

        Raises:
            UserError: C is not `channels`.
        """
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise UserError(
                f"snippets of shape {tuple(x.shape)}: this model takes "
                f"{self.channels} channels, (M, {self.channels}, H, W)"
            )
        return self.classifier(self.dropout(self.net(self.normalise(x))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score videos by the consensus of their snippets.

        Args:
            x: (N, K, C, H, W), snippets as in `snippet_scores`; K may differ from training's.

        Returns:
            Scores before softmax, float (N, num_classes).

        Raises:
            UserError: x has not five dimensions, or C is not `channels`.
        """
        if x.ndim != 5:
            raise UserError(f"videos of shape {tuple(x.shape)}: give (N, K, C, H, W)")
        scores = self.snippet_scores(x.flatten(0, 1))
        return self.consensus(scores.unflatten(0, x.shape[:2]))
