"""A user's mistake gives one sentence that names the key or folder, and no traceback of ours."""

import pytest

pytestmark = pytest.mark.slow


def test_a_wrong_key_is_named(fresh):
    done = fresh.changed("training", lrr=0.1).snakemake("--dry-run", "results/fusion_tiny.json")
    assert done.returncode != 0
    assert "training.lrr: unknown key; did you mean 'lr'?" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_absent_videos_name_the_folder(fresh):
    fresh.config["datasets"]["tiny"]["videos"] = "nowhere"
    done = fresh.snakemake("--dry-run", "results/fusion_tiny.json")
    assert done.returncode != 0
    assert "datasets.tiny.videos: there is no folder 'nowhere'" in done.stdout + done.stderr


def test_a_mistake_is_told_although_all_results_are_there(finished):
    other = finished.changed(
        "datasets", tiny={**finished.config["datasets"]["tiny"], "videos": "gone"}
    )
    done = other.snakemake("results/fusion_tiny.json")
    assert done.returncode == 1
    assert "error: datasets.tiny.videos: there is no folder 'gone'" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert finished.would_run() == {}


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("results/fusion_nothing.json", "datasets: there is no 'nothing' in the configuration"),
        ("results/tiny/none/fusion.json", "experiments: there is no 'none' in the configuration"),
        (
            "results/tiny/none/split1/rgb/metrics.json",
            "experiments: there is no 'none' in the configuration",
        ),
        ("results/tiny/tsn/split7/rgb/model.pt", "datasets.tiny: there is no split 7"),
        ("results/tiny/tsn/split7/fusion.json", "datasets.tiny: there is no split 7"),
    ],
)
def test_an_unknown_name_in_a_target_is_told(fresh, target, sentence):
    done = fresh.snakemake("--dry-run", target)
    assert done.returncode == 1
    assert f"error: {sentence} (there are: " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_modality_that_is_not_trained_is_told(fresh):
    done = fresh.snakemake("--dry-run", "results/tiny/tsn/split1/rgb_diff/model.pt")
    assert done.returncode == 1
    assert "error: experiment tsn: rgb_diff is not trained (only " in done.stderr


def test_weights_that_are_not_there_stop_the_run_before_it_starts(fresh):
    done = fresh.changed("model", weights="nowhere.pth").snakemake("results/fusion_tiny.json")
    assert done.returncode == 1
    assert "error: model.weights: there is no file 'nowhere.pth'" in done.stderr
    assert not (fresh.folder / "results").exists()
