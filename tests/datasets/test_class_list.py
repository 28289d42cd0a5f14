"""Lists of classes, in all forms that people have."""

import pytest

from tsn.datasets.class_list import read_class_list
from tsn.runtime.errors import UserError


@pytest.mark.parametrize(
    "text",
    [
        "Jump\nRun\n",
        "# classes\n0 Jump\n1 Run\n",
        "1,Run\n0,Jump\n",
        "Run\t1\nJump\t0\n",
        "id,name\n0,Jump\n1,Run\n",
        "name;label\nRun;1\nJump;0\n",
        '["Jump", "Run"]',
        '{"Run": 1, "Jump": "0"}',
        '{"1": "Run", "0": "Jump"}',
        '[{"name": "Jump"}, {"name": "Run"}]',
        '[{"id": 1, "name": "Run"}, {"id": 0, "name": "Jump"}]',
    ],
)
def test_forms_of_class_lists(tmp_path, text):
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8")
    assert list(read_class_list(tmp_path / "classes.txt").items()) == [("0", "Jump"), ("1", "Run")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id,key\n0\n1,Run\n", {"1": "Run"}),
        ("[[1, 2], [3]]", {"0": "1 2", "1": "3"}),
        ('{"c092": "Watching"}', {"c092": "Watching"}),
        ("c092 Watching\nc147 Cooking\n", {"c092": "Watching", "c147": "Cooking"}),
    ],
)
def test_codes_gaps_and_numbers_as_names(tmp_path, text, found):
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8")
    assert read_class_list(tmp_path / "classes.txt") == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0 Jump\n0 Run\n", "number '0' is there twice, '0 Jump' and '0 Run'"),
        ("0 Jump\n1 Jump\n", "class 'Jump' is there twice, '0 Jump' and '1 Jump'"),
        ("Jump\nRun\nJump\n", "class 'Jump' is there twice"),
        ("1 Jump\n01 Run\n", "number '1' is there twice"),
        ("", "has no class"),
        ("# nothing\n", "has no class"),
        ('["Jump", ""]', "without a name"),
        ('{"Jump": "Run"}', "this JSON is no list of classes"),
        ('[{"a": 1}]', "this JSON is no list of classes"),
        ("[null]", "this JSON is no list of classes"),
    ],
)
def test_lists_that_name_no_classes_or_some_twice(tmp_path, text, sentence):
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"classes\.txt: .*{sentence}"):
        read_class_list(tmp_path / "classes.txt")
