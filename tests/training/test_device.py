"""Precision: bfloat16 where it is asked for, and by itself on GPUs only."""

import itertools

import pytest
import torch

from tsn.runtime.errors import UserError
from tsn.training import device
from tsn.training.device import autocast, prepare, seed_step
from tsn.training.loss import summed_loss

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


@pytest.fixture
def turing(monkeypatch):
    """A GPU on which bf16 is emulated."""
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
def test_a_gpu_without_bf16_computes_in_fp32_unless_it_is_asked_for(turing):
    assert not autocast(torch.device("cuda"), "auto")._enabled
    with pytest.raises(UserError, match="Tesla T4 has no bf16; set precision to auto or fp32"):
        autocast(torch.device("cuda"), "bf16")


def test_a_claimed_gpu_that_torch_cannot_use_is_told(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aaaa")
    monkeypatch.setattr(device, "why_unavailable", lambda: "the driver is too old; update it")
    assert prepare(torch.get_num_threads()) == CPU
    assert "cannot use the GPU that the job has (GPU-aaaa): the driver is too old" in caplog.text
