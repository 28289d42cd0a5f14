"""Training in several processes gives what one process gives; Gloo, on the CPU."""

import pytest
import torch
import torchvision
from torch import nn

from tests.training.conftest import result_of, timeless
from tsn.runtime.errors import UserError
from tsn.training.distributed import ProcessGroup, RunningStatistics
from tsn.training.launch import launch

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_cpu", "_no_gpu_for_children")]


@pytest.fixture
def _no_gpu_for_children(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def pretrained(tmp_path) -> dict:
    """Weights whose running means are all 1/4: partial BN freezes them."""
    net = torchvision.models.shufflenet_v2_x0_5()
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer.fill_(0.25)
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    return {"weights": str(tmp_path / "weights.pt")}


def test_two_processes_train_what_one_does(run, make_task, make_job, pretrained):
    """6 videos, 2 more held out, in batches of 5 and 1: micro-batches of 2 + 2 + 1 and of 1, for
    which the second process gets a dummy batch. 6 steps with dropout and partial BN."""
    job = make_job(batch_size=5, micro_batch=2, validation=0.25, model=pretrained)
    alone = run(job, "alone")
    task = make_task(job, "together")
    launch(task, 2)
    together = result_of(task)
    assert together.state.keys() == alone.state.keys()
    for key, value in alone.state.items():
        assert torch.allclose(together.state[key], value, rtol=1e-5, atol=1e-5), key
    for ours, theirs in zip(timeless(together.log), timeless(alone.log), strict=True):
        for column in ours:
            assert float(ours[column]) == pytest.approx(float(theirs[column]), rel=1e-3), column
    means = [value for key, value in together.state.items() if key.endswith("running_mean")]
    learned = [mean for mean in means if not torch.equal(mean, torch.full_like(mean, 0.25))]
    assert len(means) > 10 and len(learned) == 1
    assert not list(together.folder.glob(".t*"))


class Pair:
    """As the first of two processes sees them; `other` is what the second one recorded."""

    world_size = 2
    other: torch.Tensor

    def all_gather(self, values: torch.Tensor) -> list[torch.Tensor]:
        return [values, self.other]


def test_running_statistics_follow_the_micro_batches_of_all_processes_in_their_order():
    """Three micro-batches; the second belongs to another process. The expected values are those
    of plain BatchNorm2d that sees all three."""
    torch.manual_seed(0)
    batches = [torch.randn(4, 3, 2, 2) * n + n for n in (1, 2, 3)]
    plain, ours, theirs = (nn.BatchNorm2d(3, momentum=0.3) for _ in range(3))
    pair = Pair()
    theirs.momentum = 1.0
    theirs(batches[1])
    second = torch.cat([theirs.running_mean, theirs.running_var])
    pair.other = torch.stack([second, torch.zeros(6)])
    statistics = RunningStatistics(ours, pair)
    statistics.begin_step()
    for batch in batches[::2]:
        ours(batch)
        statistics.record()
    statistics.end_step(3)
    for batch in batches:
        plain(batch)
    assert torch.allclose(ours.running_mean, plain.running_mean, rtol=1e-6)
    assert torch.allclose(ours.running_var, plain.running_var, rtol=1e-6)
    assert ours.num_batches_tracked == 3


def test_frozen_statistics_are_left_alone():
    layer = nn.BatchNorm2d(3).eval()
    statistics = RunningStatistics(layer, ProcessGroup())
    statistics.begin_step()
    layer(torch.ones(2, 3, 2, 2))
    statistics.record()
    statistics.end_step(1)
    assert layer.momentum == 0.1 and not layer.running_mean.any()


def test_a_mistake_in_one_of_several_processes_is_one_sentence(make_task, make_job, tmp_path):
    task = make_task(make_job(lr=1e30, clip_gradient=None, micro_batch=2))
    with pytest.raises(UserError, match=r"training\.lr: the loss of rgb is not finite") as caught:
        launch(task, 2)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "model.pt").exists()
