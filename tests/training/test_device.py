"""Precision: bfloat16 where it is asked for, and by itself on GPUs only."""

import itertools

import pytest
import torch

from tsn.runtime.errors import UserError
from tsn.training import device
from tsn.training.device import (
    autocast,
    gradient_scaler,
    half_precision,
    prepare,
    seed_step,
)
from tsn.training.loss import summed_loss

CPU = torch.device("cpu")


HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@pytest.mark.parametrize("precision", ["fp32", "auto", *HALF])
def test_precision_on_a_cpu(precision):
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == HALF.get(precision, torch.float32)


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


def test_freed_memory_is_kept_as_far_as_an_old_libc_allows(monkeypatch):
    class Libc:
        mmap_threshold = 128 << 10

        def mallopt(self, option, value):
            if option == device.M_MMAP_THRESHOLD and value <= 32 << 20:
                self.mmap_threshold = value

    libc = Libc()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("ctypes.CDLL", lambda name: libc)
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.31"))
    prepare(torch.get_num_threads())
    assert libc.mmap_threshold == 32 << 20


@pytest.fixture
def old_gpu(monkeypatch):
    """A function that gives a GPU of a compute capability on which bf16 is emulated."""
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation
    )
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    return lambda *capability: monkeypatch.setattr(
        torch.cuda, "get_device_capability", lambda: capability
    )


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), torch.float16), ((7, 0), torch.float16), ((6, 1), None)]
)
def test_a_gpu_without_bf16_computes_in_fp16_where_that_is_fast(old_gpu, capability, dtype):
    old_gpu(*capability)
    assert half_precision(torch.device("cuda"), "auto") == dtype


def test_a_gpu_without_bf16_refuses_it(old_gpu):
    old_gpu(7, 5)
    with pytest.raises(UserError, match="Tesla T4 has no bf16; set precision to auto or fp16"):
        half_precision(torch.device("cuda"), "bf16")


@pytest.mark.parametrize(("precision", "scaled"), [("fp16", 2.0**16), ("bf16", 1), ("auto", 1)])
def test_gradients_are_scaled_in_fp16_alone(precision, scaled):
    assert gradient_scaler(CPU, precision).scale(torch.ones(())) == scaled


def test_a_claimed_gpu_that_torch_cannot_use_is_told(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aaaa")
    monkeypatch.setattr(device, "why_unavailable", lambda: "the driver is too old; update it")
    assert prepare(torch.get_num_threads()) == CPU
    assert "cannot use the GPU that the job has (GPU-aaaa): the driver is too old" in caplog.text
