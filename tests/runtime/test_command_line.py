"""Errors of a command end in one sentence."""

import argparse
import importlib
import io
import os
import subprocess
import sys

import pytest

from tsn.runtime.command_line import Parser, positive, run_command
from tsn.runtime.errors import UserError


def test_an_error_of_reading_names_the_file_and_the_reason(tmp_path, capsys):
    assert run_command(lambda: (tmp_path / "absent").open()) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/absent: No such file or directory\n"


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("bad input"), 1, "error: bad input"),
        (OSError("a library's words"), 1, "error: a library's words"),
        (OSError(5, "Input/output error"), 1, "error: [Errno 5] Input/output error"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_end_in_a_sentence_and_a_status(capsys, error, status, message):
    assert run_command(lambda: fail(error)) == status
    assert capsys.readouterr().err.startswith(message)


PROGRAM = """
import os, sys
from tsn.runtime.command_line import run_command
def work():
    print(os.fsdecode(bytes([0xff])), "ы" * int(sys.argv[1]))
sys.exit(run_command(work))
"""


def test_a_name_that_cannot_be_printed_is_escaped():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "1"], env=environment, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, b"\\udcff \\u044b\n")


COMMANDS = [f"tsn.{name}" for name in ("convert", "index", "status", "verify")]
COMMANDS += [f"tsn.{name}.__main__" for name in ("flow", "predict")]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_printed_in_any_character_set(command, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(command).main(["--help"])
    assert ended.value.code == 0


def test_a_reader_that_has_enough_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1


def test_a_file_that_is_taken_for_an_option_is_told(tmp_path, monkeypatch, capsys):
    """Videos are named by identifiers of YouTube's, which may begin with -."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-mMS0Js1ENY.mp4").touch()
    monkeypatch.setattr("sys.argv", ["flow", "-mMS0Js1ENY.mp4"])
    parser = Parser(prog="flow")
    parser.add_argument("video")
    with pytest.raises(SystemExit):
        parser.parse_args()
    assert "video; write ./ before a name that begins with - (see" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "2e9", "many"])
def test_what_is_no_positive_number_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="not a number above 0"):
        positive(text)
