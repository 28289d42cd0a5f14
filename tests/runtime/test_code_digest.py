"""Which edits of the source change the digest of a rule's code: those that change its numbers."""

import shutil
from pathlib import Path

import pytest

from tsn.runtime import code_digest as module

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "workflow" / "scripts"
RULES = sorted(path.stem for path in SCRIPTS.glob("*.py"))


@pytest.fixture(scope="session")
def package(tmp_path_factory) -> Path:
    copy = tmp_path_factory.mktemp("source") / "tsn"
    return shutil.copytree(REPOSITORY / "tsn", copy, ignore=shutil.ignore_patterns("__pycache__"))


def forget() -> None:
    module._file.cache_clear()
    module._read.cache_clear()


def digests() -> dict[str, str]:
    forget()
    return {rule: module.code_digest(SCRIPTS / f"{rule}.py") for rule in RULES}


@pytest.fixture(scope="session")
def before(package) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PACKAGE", package)
        return digests()


@pytest.fixture
def reruns(package, before, monkeypatch):
    """A function: the rules whose digest changes when `old` becomes `new` in a file of `tsn`."""
    monkeypatch.setattr(module, "PACKAGE", package)

    def edit(name: str, old: str, new: str) -> set[str]:
        path = package / name
        source = path.read_text(encoding="utf-8")
        assert old in source
        path.write_text(source.replace(old, new, 1), encoding="utf-8")
        try:
            after = digests()
        finally:
            path.write_text(source, encoding="utf-8")
        return {rule for rule in RULES if before[rule] != after[rule]}

    yield edit
    forget()


DECODING = {"decode_frames", "compute_flow", "compute_warped_flow"}
NETWORK = {"train_model", "score_videos", "score_held_out"}


def test_a_change_of_the_decoder_decodes_again_and_is_found_behind_the_process_border(reruns):
    for name in ("video/decode.py", "video/decoder_process.py"):
        changed = reruns(name, "\nimport ", "\nLIMIT = 3\nimport ")
        # The test asks videos for their frame rate; it would follow new shards anyway.
        assert changed >= DECODING and "train_model" not in changed


def test_a_kernel_is_part_of_the_flow(reruns):
    assert reruns("flow/cuda/kernels/iterate.cu", "{", "{ int more;") == {
        "compute_flow",
        "compute_warped_flow",
        "draw_saliency",  # by the code of `tsn.predict`, which computes flow, too
    }


def test_what_kernels_for_a_cpu_are_written_with_is_part_of_the_flow_and_of_networks(reruns):
    changed = reruns("runtime/lanes.py", '("contract",)', "()")
    assert {"compute_flow", "compute_warped_flow", *NETWORK} <= changed
    assert "decode_frames" not in changed


def test_a_comment_in_a_kernel_is_none(reruns):
    assert reruns("flow/cuda/kernels/iterate.cu", "{", "{ // a word\n /* and more */") == set()


def test_a_change_of_a_network_trains_again_and_computes_no_flow(reruns):
    changed = reruns("models/consensus.py", "\nclass ", "\nMORE = 1\n\n\nclass ")
    assert changed >= NETWORK and not changed & DECODING


def test_making_the_index_is_no_part_of_what_reads_it(reruns):
    assert reruns("datasets/demo_scene.py", "0.62 +", "0.63 +") == {"render_demo"}
    assert reruns("datasets/rows.py", "60 * value", "61 * value") == {"index_videos"}


def test_a_published_figure_is_part_of_the_report(reruns):
    changed = reruns("report/published.py", "94.", "95.")
    assert {"draw_results", "write_report"} <= changed and not changed & (NETWORK | DECODING)


def test_the_page_is_its_template_too(reruns):
    assert "write_report" in reruns("report/templates/page.html.jinja2", "<", "<!-- -->\n<")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("video/decode.py", '"""', '"""Other words. '),
        ("video/decode.py", "\nimport ", "\n# A comment.\nimport "),
        ("models/consensus.py", "raise UserError(", 'raise UserError("other words" or '),
        ("shards/build.py", "logger.warning(", 'logger.warning("more", '),
        ("data/sampling.py", ") -> np.ndarray:", ") -> object:"),
        ("runtime/progress.py", "\nimport ", "\nMORE = 1\nimport "),
    ],
)
def test_words_types_and_progress_rerun_nothing(reruns, name, old, new):
    assert reruns(name, old, new) == set()
