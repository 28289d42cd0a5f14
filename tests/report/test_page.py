"""The page: whole, offline, and right about what it says."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tsn.report.page import accuracy_table, best_single, predictions_for
from tsn.report.results import FIGURES, draw_results, predictions_of, write_page
from tsn.report.style import printable

NASTY = ("<script>alert(1)</script>", '"quotes" & $5 \udcff')
LOST = (f"{NASTY[0]}/1.0",)


class Elements(HTMLParser):
    """All tags with their attributes, and the text between them."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def make_page(run, folder: Path, saliency: str | None = None, streams=("rgb", "flow")) -> str:
    figures = {name: str(folder / f"{name}.svg") for name in FIGURES}
    files = (str(run.summary), str(run.index), run.scores)
    draw_results(*files, run.logs, figures)
    (folder / "1.a.jpg").write_bytes(b"not looked at")
    clip = {"file": "1.a.jpg", "id": f"{NASTY[1]}/1.1", "class_name": NASTY[1], "scale": 2.5}
    (folder / "clips.json").write_text(json.dumps([{**clip, "streams": streams}]))
    motion = {"camera": {"a": 0.25, NASTY[1]: 0.5}, "clipped": {f"{NASTY[1]}/1.1": 0.125}}
    (folder / "motion.json").write_text(json.dumps(motion))
    write_page(str(folder / "page.html"), *files, figures, str(folder), saliency)
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(make_run, tmp_path_factory) -> str:
    run = make_run(classes=NASTY, splits=(1, 2), lost=LOST, layout="ucf101")
    return make_page(run, tmp_path_factory.mktemp("page"))


def test_nothing_is_fetched_and_no_name_becomes_code(page):
    tags = Elements(page).tags
    addresses = [a[name] for _, a in tags for name in ("src", "href", "xlink:href") if name in a]
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tags}
    assert "http:" not in page and "https:" not in page and "url(h" not in page
    assert "default-src 'none'" in page


def test_names_in_pictures_are_text_that_a_search_finds(page):
    assert Elements(page).text.count(printable(NASTY[1])) >= 3  # classes, and twice in the matrix


def test_sections_that_are_linked_to_exist(page):
    elements = Elements(page)
    targets = {a["href"][1:] for tag, a in elements.tags if tag == "a"}
    assert targets == {a["id"] for tag, a in elements.tags if tag == "section" and "id" in a}
    assert {"accuracies", "classes", "confusions", "training", "clips", "time"} <= targets


def test_camera_motion_is_shown_by_class_the_most_first_and_clipped_videos_by_name(page):
    text = " ".join(" ".join(Elements(page).text).split())
    assert f"By class class camera moves {printable(NASTY[1])} 50.0 % a 25.0 %" in text
    assert f"video clipped {printable(NASTY[1])}/1.1 12.5 %" in text


def test_every_picture_is_in_the_page(page):
    tags = [tag for tag, _ in Elements(page).tags]
    assert tags.count("svg") == len(FIGURES)
    assert tags.count("img") == 1


def test_where_the_networks_look_is_below_its_clip(make_run, tmp_path, page):
    (tmp_path / "1.a.png").write_bytes(b"heat")
    drawn = make_page(make_run(classes=NASTY), tmp_path, str(tmp_path))
    heat = "data:image/png;base64,aGVhdA=="
    assert drawn.count(heat) == 1 and heat not in page
    assert drawn.index("<figcaption>") < drawn.index(heat) < drawn.index("</figure>")


@pytest.mark.parametrize(
    ("fuse", "said"), [("logits", "scores before softmax"), ("probabilities", "probabilities")]
)
def test_what_the_fusion_adds_up_is_named(make_run, tmp_path, fuse, said):
    assert f"a weighted sum of {said}." in make_page(make_run(fuse=fuse), tmp_path)


def test_clips_of_rgb_alone_are_said_to_show_no_flow(make_run, tmp_path, page):
    said = "what the networks see of motion"
    assert said in page and said not in make_page(make_run(), tmp_path, streams=("rgb",))


def test_quarantined_videos_are_listed_by_their_names(page):
    text = html.unescape(page)
    assert f"{LOST[0]}: ends early" in text
    assert "1 video could not be used" in text


def test_the_table_has_every_split_the_mean_and_what_was_published(make_run):
    result = make_run(splits=(1, 2), layout="ucf101").result
    table = accuracy_table(result)
    assert [row.title for row in table] == ["RGB", "optical flow", "fused"]
    fused = table[-1]
    assert fused.fused and fused.weights == {"rgb": 1.0, "flow": 1.0}
    assert fused.splits == [split["fused"]["top1"] for split in result["splits"]]
    assert fused.main == pytest.approx(sum(fused.splits) / 2)
    assert fused.published == 94.0  # two streams, mean of UCF101's splits
    assert table[0].published is None


def test_a_single_split_is_beside_its_own_published_figure(make_run):
    result = make_run(splits=(2,), layout="ucf101").result
    # The authors' release, UCF101 split 2.
    assert [row.published for row in accuracy_table(result)] == [84.9, 90.2, 94.3]


def test_the_best_single_modality_is_named():
    modalities = {"rgb": {"top1": 0.5}, "flow": {"top1": 0.75}}
    assert best_single({"mean": {"modalities": modalities}}) == ("flow", 0.75)


def test_a_clip_has_the_prediction_of_every_modality(make_run):
    run = make_run(
        videos=1, classes=("jump", "run"), predicted={"rgb": [0, 0], "flow": [0, 1]}, lost=()
    )
    split = predictions_of(run.result, str(run.index), run.scores)[0]
    found = predictions_for("run/1.0", split)
    assert found[:2] == [("rgb", "jump", False), ("flow", "run", True)]
    assert found[2][0] == "fused"
    assert predictions_for("run/0.0", split) == []


def test_a_page_of_a_hundred_classes_stays_small_enough_for_a_frame(make_run, tmp_path):
    run = make_run(
        classes=tuple(f"class {n:03}" for n in range(101)),
        splits=(1, 2, 3),
        modalities=("rgb", "flow", "warped_flow", "rgb_diff"),
        videos=2,
        epochs=80,
    )
    # Snakemake's report shows the page through an address that holds all of it, in base64, and
    # Chromium takes addresses of 2 MiB there; clips take 600 kB of it.
    assert len(make_page(run, tmp_path)) * 4 / 3 < (2 << 20) - 600_000


def test_the_page_prints_one_table_row_for_each_kind_of_scores(page):
    assert len(re.findall(r"<tr[^>]*>\s*<th><i ", page)) == 3
