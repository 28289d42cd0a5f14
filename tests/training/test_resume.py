"""A training that was stopped goes on to the same weights, and with nothing else."""

import os
import signal

import pytest
import torch
import torchvision

from tests.training.conftest import before_each_step, equal, timeless
from tsn.data.dataset import TrainingSnippets
from tsn.data.loader import make_loader
from tsn.datasets.build_index import write_index
from tsn.datasets.index import read_index
from tsn.datasets.listing import Listing
from tsn.models.network import TSN
from tsn.runtime.errors import UserError
from tsn.training.checkpoint import load_model, read_state, write_state
from tsn.training.distributed import ProcessGroup
from tsn.training.log import Recorder
from tsn.training.state import State

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_cpu")]


def count_steps(monkeypatch) -> list[int]:
    """The iterations that are computed from now on."""
    steps: list[int] = []
    before_each_step(monkeypatch, lambda setup, state: steps.append(state.iteration))
    return steps


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_stopped_run_resumes_to_the_same_weights_and_log(
    run, run_until, make_job, monkeypatch, stop
):
    """3 epochs of 2 iterations, stopped after 1 (inside an epoch), 3 and 5 of them."""
    job = make_job(batch_size=4, micro_batch=2)
    undisturbed = run(job, "undisturbed")
    run_until(job, stop)
    steps = count_steps(monkeypatch)
    resumed = run(job)
    assert steps == [*range(stop, 6)]
    assert equal(resumed.state, undisturbed.state)
    assert timeless(resumed.log) == timeless(undisturbed.log)
    left = sorted(path.name for path in resumed.folder.iterdir())
    assert left == ["model.pt", "tensorboard", "training.csv"]


def test_a_stopped_run_in_fp16_resumes_with_the_scale_of_its_gradients(
    run, run_until, make_job, tiny_network
):
    """A learning rate at which steps overflow, which lowers the scale."""
    job = make_job(precision="fp16", lr=30.0, epochs=4, lr_milestones=())
    whole = run(job, "whole")
    run_until(job, 3)
    scale = next((whole.folder.parent / "run").glob(".training-*.pt"))
    assert torch.load(scale, weights_only=True)["scaler"]["scale"] < 2.0**16
    assert equal(run(job).state, whole.state)


def test_a_stopped_run_remembers_its_best_epoch(run, run_until, make_job, monkeypatch):
    """The first of three, before the stop. Every validation sees both videos that are held out."""
    results, seen = iter([(0.9, 1.0), (0.5, 0.5), (0.4, 0.8)] * 2), []

    def known(network, loader, *_):
        seen.append(sum(len(labels) for _, labels in loader))
        return dict(zip(("validation_accuracy", "validation_loss"), next(results), strict=True))

    monkeypatch.setattr("tsn.training.fit.validate", known)
    job = make_job(validation=0.25, keep="best")
    undisturbed = run(job, "undisturbed").state
    run_until(job, 5)
    resumed = run(job)
    assert equal(resumed.state, undisturbed)
    assert not equal(load_model(resumed.folder / "last.pt")[0].state_dict(), undisturbed)
    assert [row["epochs_since_best"] for row in resumed.log] == ["0", "0", "1"]  # of the loss
    assert seen == [2] * 6


def with_workers(snippets, device, threads, **batching):
    """What a GPU has, but for the pinned memory."""
    loader = make_loader(snippets, torch.device("cuda"), 2, **batching)
    loader.pin_memory = False
    return loader


def test_a_reading_process_that_dies_costs_a_sentence_and_the_steps_since_the_last_save(
    run, make_job, monkeypatch, tmp_path
):
    job = make_job(batch_size=2)
    read = TrainingSnippets.__getitem__

    def dying(self, item):
        if item[0] == 2:  # of 0, 1, 2
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, item)

    with monkeypatch.context() as patch, pytest.raises(UserError, match="loader process died"):
        patch.setattr(TrainingSnippets, "__getitem__", dying)
        patch.setattr("tsn.training.fit.make_loader", with_workers)
        run(job, save_seconds=0)
    assert list((tmp_path / "run").glob(".training-*.pt"))
    assert equal(run(job).state, run(job, "undisturbed").state)


@pytest.mark.parametrize("damage", [b"", b"nonsense"])
def test_a_damaged_state_is_reported_and_the_run_starts_anew(
    run, run_until, make_job, tmp_path, caplog, damage
):
    run_until(make_job(), 3)
    (state,) = (tmp_path / "run").glob(".training-*.pt")
    state.write_bytes(damage)
    assert equal(run(make_job()).state, run(make_job(), "undisturbed").state)
    assert f"{state}: cannot be loaded" in caplog.text and "starting anew" in caplog.text


def small_state(scales: bool = True) -> State:
    network = TSN(2, "rgb", "shufflenet_v2_x0_5", "none", 2, partial_bn=False)
    optimiser = torch.optim.SGD(network.parameters(), momentum=0.9)
    return State(network, optimiser, torch.amp.GradScaler("cpu", enabled=scales))


def test_a_state_of_a_gpu_that_scales_no_gradients_goes_on_where_they_are_scaled(
    tmp_path, tiny_network
):
    saved, resumed = small_state(scales=False), small_state()
    saved.iteration = 7
    saved.save(tmp_path / "state.pt")
    resumed.resume(tmp_path / "state.pt", ProcessGroup())
    assert resumed.iteration == 7 and resumed.scaler.get_scale() == 2.0**16


@pytest.mark.parametrize("change", [{"epoch": {"total": 1.0}}, {"network": {"fc.weight": 1.0}}])
def test_a_state_of_another_version_is_named(tmp_path, tiny_network, change):
    path = tmp_path / "state.pt"
    small_state().save(path)
    write_state(path, read_state(path) | change)
    with pytest.raises(UserError, match=r"state\.pt: another version .* delete the file"):
        small_state().resume(path, ProcessGroup())


def test_a_changed_recipe_does_not_resume_from_the_state_of_another(run, run_until, make_job):
    run_until(make_job(), 3)
    changed = make_job(lr=0.02)
    assert equal(run(changed).state, run(changed, "elsewhere").state)


@pytest.mark.parametrize("other", [{"fingerprint": {"by": "machine"}}, {"bad": ("red/1",)}])
def test_other_shards_or_videos_do_not_resume_either(
    run, run_until, make_job, make_tiny_set, monkeypatch, tiny_network, other
):
    run_until(make_job("flow"), 3)
    steps = count_steps(monkeypatch)
    run(make_job("flow"), tiny=make_tiny_set(**other))
    assert steps[0] == 0


def test_other_labels_do_not_resume_either(
    run, run_until, make_job, make_tiny_set, monkeypatch, tiny_network
):
    """The same videos and classes, whose order in the list has changed."""
    tiny = make_tiny_set()
    run_until(make_job(), 3, tiny=tiny)
    videos = read_index(tiny.index)
    write_index(tiny.index, Listing(("blue", "red"), tuple(videos)), 2, (1,))
    steps = count_steps(monkeypatch)
    run(make_job(), tiny=tiny)
    assert steps[0] == 0


def test_other_content_of_the_weights_file_does_not_resume_either(
    run, run_until, make_job, monkeypatch, tmp_path
):
    weights = tmp_path / "weights.pt"
    job = make_job(model={"weights": str(weights)}, partial_bn=False)
    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.save(torchvision.models.shufflenet_v2_x0_5().state_dict(), weights)
        if seed == 1:
            run_until(job, 3)
    steps = count_steps(monkeypatch)
    run(job)
    assert steps[0] == 0


def test_an_error_after_the_last_step_costs_no_step(run, make_job, monkeypatch, tiny_network):
    """Whatever fails once the training is over, the next start only writes the results."""
    job = make_job(epochs=1, lr_milestones=())

    def fail(self, rows):
        raise OSError("no room for the log")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no room"):
        patch.setattr(Recorder, "write", fail)
        run(job)
    steps = count_steps(monkeypatch)
    resumed = run(job)
    assert not steps
    assert equal(resumed.state, run(job, "undisturbed").state)
    assert [row["epoch"] for row in resumed.log] == ["0"]
