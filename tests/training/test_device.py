"""Precision: bfloat16 where it is asked for, and by itself on GPUs only."""

import itertools

import pytest
import torch

from tsn.training.device import autocast, prepare, seed_step
from tsn.training.fit import summed_loss

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("auto", torch.float32), ("bf16", torch.bfloat16)],
)
def test_precision_on_a_cpu(precision, dtype):
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_the_loss_is_float32_whatever_the_scores_are():
    scores = torch.tensor([[0.0, 0.01]], dtype=torch.bfloat16)
    loss = summed_loss(scores, torch.tensor([0]))
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(0.69816, abs=1e-4)


def test_dropout_is_seeded_by_seed_iteration_and_micro_batch():
    def draw(place):
        seed_step(*place)
        return torch.rand(1, dtype=torch.double).item()

    places = list(itertools.product(range(3), repeat=3))
    drawn = [draw(place) for place in places]
    assert len(set(drawn)) == 27 and [draw(place) for place in places] == drawn


def test_without_a_gpu_algorithms_are_deterministic(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = torch.get_num_threads()
    try:
        assert prepare(1) == CPU
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
