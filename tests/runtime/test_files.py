"""Outputs appear whole or not at all; tables keep what file names may hold."""

import json
import os
import subprocess
import sys

import pytest

from tsn.runtime.files import atomic_path, read_tsv, write_json, write_text, write_tsv

AWFUL = [
    "tab\there",
    "line\nbreak",
    "carriage\rreturn",
    'a "quote"',
    '"',
    "it's",
    "emoji 🎬",
    os.fsdecode(b"not utf-8 \xff\xfe"),
    " spaces ",
    "back\\slash",
    "",
    "next\x85line",
    "separator\u2028",
    "#",
    "=1+1",
]


def test_a_file_appears_only_when_the_block_has_ended(tmp_path):
    target = tmp_path / "new" / "file"
    with atomic_path(target) as temporary:
        temporary.write_text("all of it")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == "all of it"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("body", ["torch.save([torch.zeros(99999)], f)", "f.write(b'0' * 99999)"])
def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path, body):
    """A limit on the size of files, which needs no superuser, stands for the full disk."""
    target = tmp_path / "file"
    target.write_text("old")
    program = f"""
import resource, signal, torch
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
try:
    with atomic_path({str(target)!r}) as temporary, temporary.open("wb") as f:
        {body}
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"{target}: could not be written (File too large); make room" in done.stdout, done.stderr
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_text_that_is_not_utf8_keeps_its_bytes(tmp_path):
    write_text(tmp_path / "a", os.fsdecode(b"\xff\n"))
    assert (tmp_path / "a").read_bytes() == b"\xff\n"


def test_json_is_read_back(tmp_path):
    value = {"name": os.fsdecode(b"\xff"), "x": [1, 0.1, None]}
    write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text()) == value


@pytest.mark.parametrize("value", AWFUL, ids=ascii)
def test_a_table_keeps_every_value_in_every_column(tmp_path, value):
    rows = [("plain", 1, "x"), (value, 2, "y"), ("z", 3, value), ("last", 4, "w")]
    write_tsv(tmp_path / "t.tsv", ("a", "b", "c"), rows)
    columns, found = read_tsv(tmp_path / "t.tsv")
    assert columns == ("a", "b", "c")
    assert [tuple(row.values()) for row in found] == [(a, str(b), c) for a, b, c in rows]


def test_a_table_of_plain_values_is_plain_text(tmp_path):
    write_tsv(tmp_path / "t.tsv", ("a", "b"), [("x y", 1), ("é", 2)])
    assert (tmp_path / "t.tsv").read_text() == "a\tb\nx y\t1\né\t2\n"


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / ".a.txt.123.tmp").write_text("half")
    (tmp_path / ".b.txt.123.tmp").write_text("somebody else's")
    write_text(tmp_path / "a.txt", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.txt.123.tmp", "a.txt"]
