"""How long a training is, and its learning rate: divided by 10 at milestones."""

from tsn.config.schema import TrainingConfig


def total_iterations(recipe: TrainingConfig, per_epoch: int) -> int:
    """Optimiser steps of the whole training, of which an epoch has `per_epoch`."""
    return recipe.iterations or recipe.epochs * per_epoch


def learning_rate(recipe: TrainingConfig, iteration: int, per_epoch: int) -> float:
    """The learning rate of an iteration, counted from 0.

    It is a tenth of what it was from the epoch (or iteration) on that `recipe.lr_milestones` names:
    30 means that epochs 0 to 29 have the full rate (tsn-pytorch, Caffe's multistep policy).
    """
    position = iteration if recipe.iterations else iteration // per_epoch
    return recipe.lr * 0.1 ** sum(position >= milestone for milestone in recipe.lr_milestones)
