"""`python -m tsn.index`: what would be used, before anything is computed."""

import pytest
import yaml

from tsn.index import main

LIST = """path,label,split,group
a.mp4,Jump,train,anna
b.mp4,Run,train,ben
c.mp4,Jump,test,anna
d.mp4,Run,test,dora
e.mp4,,train,eve
gone.mp4,Run,train,fred
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A configuration of a list with a row too few, a video too few, and a leak."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    for name in "abcde":
        (tmp_path / "videos" / f"{name}.mp4").touch()
    (tmp_path / "list.csv").write_text(LIST)
    config = {"layout": "list", "videos": "videos", "annotations": "list.csv"}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"datasets": {"mine": config}}))
    return tmp_path / "my.yaml"


def test_what_would_be_used_is_shown(config, capsys):
    assert main([str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "mine",
        "4 of 5 listed videos on disk, in 2 of 2 classes",
        "split 1: 2 train, 2 test, 0 in neither",
    ]
    shown = "\n".join(lines)
    assert "1 missing, quarantined (data.missing: quarantine):\n  'gone'" in shown
    assert "1 invalid rows, not used:\n  'list.csv:6: column label: there is none'" in shown
    assert "1 groups on both sides of a split:\n  'split 1: anna'" in shown
    assert [line.split() for line in lines[-4:-1]] == [
        ["class", "train1", "test1"],
        ["'Jump'", "1", "1"],
        ["'Run'", "1", "1"],
    ]


def test_what_would_stop_a_run_ends_in_an_error(config, capsys):
    text = config.read_text()
    config.write_text(text + "data: {invalid_rows: refuse}\n")
    assert main([str(config), "mine"]) == 1
    assert "error: datasets.mine.annotations: 1 rows are invalid" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["empty.yaml"], "empty.yaml: it has no datasets; name those that you mean"),
        (["my.yaml", "other"], "datasets: there is no 'other'"),
        (["nowhere.yaml"], "nowhere.yaml: No such file"),
        (["list.csv"], "is no YAML"),
    ],
)
def test_mistakes_are_one_sentence(config, capsys, arguments, sentence):
    (config.parent / "list.csv").write_text("a: [")
    (config.parent / "empty.yaml").write_text("datasets:\n  # all of it\n")
    assert main(arguments) == 1
    assert sentence in capsys.readouterr().err


def test_nothing_is_written(config):
    before = sorted(config.parent.rglob("*"))
    main([str(config)])
    assert sorted(config.parent.rglob("*")) == before
