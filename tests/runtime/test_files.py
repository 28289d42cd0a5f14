"""Outputs appear whole or not at all; tables keep what file names may hold."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tsn.runtime.errors import UserError
from tsn.runtime.files import (
    atomic_folder,
    atomic_path,
    read_tsv,
    write_json,
    write_text,
    write_tsv,
)

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


def test_a_full_disk_is_reported_and_leaves_the_old_file(tmp_path):
    """A limit on the size of files, which needs no superuser, stands for the full disk."""
    target = tmp_path / "file"
    target.write_text("old")
    program = f"""
import resource, signal, torch
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
for write in (lambda f: torch.save([torch.zeros(99999)], f), lambda f: f.write(b"0" * 99999)):
    try:
        with atomic_path({str(target)!r}) as temporary, temporary.open("wb") as f:
            write(f)
    except UserError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    message = f"{target}: could not be written (File too large); make room"
    assert done.stdout.count(message) == 2, done.stderr
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


KILLED = """
import os, sys
from pathlib import Path
from tsn.runtime.files import atomic_folder, atomic_path
with atomic_path(sys.argv[1] + "/file") as file, atomic_folder(sys.argv[1] + "/folder") as folder:
    file.write_text("half")
    (folder / "x").write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)])
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".file.mine.tmp").write_text("a user's own")
    write_text(tmp_path / "file", "whole")
    with atomic_folder(tmp_path / "folder"):
        pass
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == [".file.mine.tmp", "file", "folder"]


def test_a_second_writer_leaves_the_first_ones_file_alone(tmp_path):
    with atomic_path(tmp_path / "a") as first:
        first.write_text("first")
        write_text(tmp_path / "a", "second")
        assert first.read_text() == "first"
    assert (tmp_path / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["x" * 255, "ы" * 127, "🎬" * 63])
def test_every_name_that_the_file_system_allows_can_be_written(tmp_path, name):
    write_text(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def loop(folder: Path) -> Path:
    (folder / "link").symlink_to("link")
    return folder / "link"


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def below_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "a"


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (lambda folder: folder, "is a folder"),
        (lambda folder: folder / ("x" * 256), "File name too long"),
        (loop, "symbolic links"),
        (fifo, "is a device"),
        (below_file, "Not a directory"),
        (lambda folder: Path("/dev/null"), "is a device"),
    ],
)
def test_what_cannot_be_written_is_reported_before_any_work(tmp_path, place, reason):
    path = place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=f"{re.escape(str(path))}.*{reason}"), atomic_path(path):
        pytest.fail("worked in vain")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_may_not_be_written_is_reported(tmp_path, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UserError, match=r"a\.txt: cannot be written \(Permission denied\)"):
        write_text(tmp_path / "a.txt", "text")


def test_errors_of_reading_are_not_those_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError, match="input"), atomic_path(tmp_path / "a"):
        (tmp_path / "input").read_text()


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "link").symlink_to("file")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "text"
