"""The page beside the results, and Snakemake's own report with the same in it."""

import json
import re
import zipfile

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(finished, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    finished.run("--report", str(file), "results/fusion_tiny.json")
    return file.read_text(encoding="utf-8")


def embedded(report: str, variable: str):
    """What one of the report's scripts sets a variable to."""
    start = f'<script id="{variable}">\n    var {variable} = '
    return json.JSONDecoder().raw_decode(report, report.index(start) + len(start))[0]


def test_the_page_lies_beside_the_results(finished):
    page = (finished.folder / "results/fusion_tiny.html").read_text(encoding="utf-8")
    fused = json.loads((finished.folder / "results/fusion_tiny.json").read_text())["mean"]["fused"]
    assert f"<b>{100 * fused['top1']:.1f} %</b> fused" in page
    assert page.count("<figure>") == len(
        list((finished.folder / "results/tiny/clips").glob("*.jpg"))
    )
    assert page.count("<figure>") > 0


def test_snakemakes_report_has_everything_in_the_order_of_interest(report):
    entries = embedded(report, "results")
    names = {path.removeprefix("results/tiny/") for path in entries}
    pictures = ("accuracies", "calibration", "classes", "confusion", "curves", "times")
    assert names >= {f"tsn/report/{name}.svg" for name in pictures} | {"tsn/report/report.html"}
    assert sum(name.startswith("clips/") for name in names) > 0
    # Snakemake sorts them by name.
    assert [name[:1] for name in sorted(embedded(report, "categories"))] == ["1", "2", "3", "4"]


def test_every_entry_has_a_caption_and_text_for_labels(report):
    for path, entry in embedded(report, "results").items():
        assert len(entry["caption"]) > 50, path
        # Snakemake's script sorts labels as text and stops at a number.
        assert all(isinstance(value, str) for value in entry["labels"].values()), path


def test_nothing_in_snakemakes_report_is_fetched(report):
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=.?https?:", report)


def test_a_zip_holds_the_same(finished, tmp_path):
    finished.run("--report", str(tmp_path / "report.zip"), "results/fusion_tiny.json")
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = [name.rpartition("/")[2] for name in archive.namelist()]
    assert names.count("report.html") == 2  # the frame, and the page in it
    assert {"accuracies.svg", "confusion.svg"} <= set(names)


def test_a_new_look_redraws_and_computes_nothing(finished):
    jobs = finished.would_run("results/fusion_tiny.json", "--forcerun", "draw_results")
    assert set(jobs) == {"draw_results", "write_report", "publish_fusion"}
