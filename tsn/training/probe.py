"""Linear probe: the network stays as it was pretrained, and only its classifier is fitted.

With the consensus "average" that is multinomial logistic regression on the mean features of a
video's snippets, computed once: a baseline in seconds.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from tsn.data.loader import make_loader
from tsn.models.network import TSN
from tsn.runtime.errors import UserError
from tsn.training.device import autocast
from tsn.training.distributed import ProcessGroup
from tsn.training.fit import Setup, validate, validation_loader
from tsn.training.log import write_log
from tsn.training.loss import count, summed_loss
from tsn.training.state import State

MAX_ITERATIONS = 1000
"""Of L-BFGS, which takes about 50 on 100 videos."""

logger = logging.getLogger("tsn")


def fit_probe(setup: Setup, state: State, snippets: Dataset, log_file: Path) -> None:
    """Fit the classifier of `state.network` in place, and write a log of one row.

    Args:
        setup: the job, its validation videos, where it runs; this process does it alone.
        state: a new one; its log gets the row.
        snippets: the training videos, as `CentreSnippets`.
        log_file: the CSV.

    Raises:
        UserError: the features are not finite.
    """
    recipe, network, start = setup.job.recipe, state.network, time.monotonic()
    setup = replace(setup, group=ProcessGroup())
    features, labels = features_of(network, snippets, setup)
    if not features.isfinite().all():
        raise UserError(
            f"training.precision: the features of {setup.job.modality} are not finite; set fp32, "
            "or other model.weights"
        )
    weights = None if setup.class_weights is None else setup.class_weights.double().cpu()

    def loss_of(scores: torch.Tensor) -> torch.Tensor:
        return summed_loss(scores, labels, weights, recipe.label_smoothing)

    iterations, scores = fit_classifier(network, features, recipe.weight_decay, loss_of)
    loss, correct, videos = count(loss_of(scores), scores, labels).tolist()
    row = {"epoch": 0, "iteration": iterations, "loss": loss / videos, "accuracy": correct / videos}
    if (loader := validation_loader(setup)) is not None:
        row |= validate(network, loader, setup.device, recipe.precision, setup.group)
    state.log = [row | {"seconds": time.monotonic() - start}]
    write_log(log_file, state.log)
    logger.info("linear probe of %d videos: loss %.3f", videos, row["loss"])


@torch.no_grad()
def features_of(network: TSN, snippets: Dataset, setup: Setup) -> tuple[torch.Tensor, torch.Tensor]:
    """What the classifier sees in evaluation: float64 (N, K, features), and the labels."""
    recipe, device = setup.job.recipe, setup.device
    network.eval()
    features, labels = [], []
    for clips, given in make_loader(snippets, device, setup.threads, batch_size=recipe.micro_batch):
        with autocast(device, recipe.precision):
            found = network.net(network.normalise(clips.to(device).flatten(0, 1)))
        features.append(found.double().cpu().unflatten(0, clips.shape[:2]))
        labels.append(given.double() if given.is_floating_point() else given)
    return torch.cat(features), torch.cat(labels)


def fit_classifier(
    network: TSN,
    features: torch.Tensor,
    weight_decay: float,
    loss: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[int, torch.Tensor]:
    """Give the classifier the weights W that minimise mean loss + weight_decay / 2 |W|².

    By L-BFGS from zero, so that nothing is random. scikit-learn's LogisticRegression has the same
    minimum with C = 1 / (weight_decay N).

    Args:
        network: its classifier is changed; its consensus stays as it is.
        features: (N, K, features), float64, on the CPU.
        weight_decay: of the weights; the bias has none.
        loss: sum of the videos' losses from their scores (N, classes).

    Returns:
        Iterations, and the scores at the end.
    """
    weight = torch.zeros_like(network.classifier.weight, dtype=features.dtype, device="cpu")
    bias = torch.zeros_like(network.classifier.bias, dtype=features.dtype, device="cpu")
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    consensus = network.consensus.cpu()
    solver = torch.optim.LBFGS(
        parameters,
        max_iter=MAX_ITERATIONS,
        tolerance_grad=1e-6,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def scores() -> torch.Tensor:
        return consensus(nn.functional.linear(features, weight, bias))

    def objective() -> torch.Tensor:
        solver.zero_grad()
        total = loss(scores()) / len(features) + weight_decay / 2 * weight.square().sum()
        total.backward()
        return total

    solver.step(objective)
    device = network.classifier.weight.device
    consensus.to(device)
    with torch.no_grad():
        network.classifier.weight.copy_(weight)
        network.classifier.bias.copy_(bias)
        return solver.state[weight]["n_iter"], scores()
