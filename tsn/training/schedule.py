"""How long a training is, and its learning rate: divided by 10 at fixed steps."""

from tsn.config.schema import TrainingConfig


def total_iterations(recipe: TrainingConfig, per_epoch: int) -> int:
    """Optimiser steps of the whole training, of which an epoch has `per_epoch`."""
    return recipe.length * (per_epoch if recipe.unit == "epoch" else 1)


def learning_rate(recipe: TrainingConfig, iteration: int, per_epoch: int) -> float:
    """The learning rate of an iteration, counted from 0.

    It is a tenth of what it was from the epoch (or iteration) on that `recipe.steps` names: step 30
    means that epochs 0 to 29 have the full rate (tsn-pytorch, Caffe's multistep policy).
    """
    position = iteration // per_epoch if recipe.unit == "epoch" else iteration
    return recipe.lr * 0.1 ** sum(position >= step for step in recipe.steps)
