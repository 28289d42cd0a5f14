"""What a job prints lands in its log; a user's mistake is one sentence and status 1."""

import subprocess
import sys

import pytest

from tsn import __version__
from tsn.runtime.errors import UserError
from tsn.runtime.job import code_version, find_interpreter_by_path, package_versions


def run(tmp_path, body: str) -> tuple[int, str, str]:
    """Exit status, terminal output and log of a job with the given body."""
    script = "import logging, os, sys\nfrom tsn.runtime.errors import UserError\n"
    script += "from tsn.runtime.job import job\n"
    script += f"with job({str(tmp_path / 'logs' / 'a.log')!r}, 'stage x'):\n    {body}\n"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={"LC_ALL": "C"}
    )
    return done.returncode, done.stdout + done.stderr, (tmp_path / "logs" / "a.log").read_text()


def test_output_of_python_and_of_c_goes_to_the_log(tmp_path):
    status, terminal, log = run(tmp_path, "print('from python'); os.system('echo from outside')")
    assert (status, terminal) == (0, "")
    assert "from python" in log and "from outside" in log


def test_progress_is_told_on_the_terminal_and_in_the_log(tmp_path):
    status, terminal, log = run(tmp_path, "logging.getLogger('tsn.anything').info('half way')")
    assert (status, terminal) == (0, "[stage x] half way\n")
    assert "half way" in log


def test_a_users_mistake_is_one_sentence_without_traceback(tmp_path):
    status, terminal, log = run(tmp_path, "raise UserError('training.lr: too high')")
    assert status == 1
    assert terminal == f"[stage x] error: training.lr: too high (log: {tmp_path}/logs/a.log)\n"
    assert "training.lr: too high" in log and "Traceback" not in log


def test_any_other_error_has_its_traceback_in_the_log_only(tmp_path):
    status, terminal, log = run(tmp_path, "1 / 0")
    assert status == 1
    assert "Traceback" in log
    assert "Traceback" not in terminal and "ZeroDivisionError: division by zero" in terminal


@pytest.mark.parametrize("name", [r"\udcff", r"\U0001f3ac"])
def test_a_message_with_any_file_name_gets_through(tmp_path, name):
    status, terminal, _ = run(tmp_path, f"raise UserError('bad: {name}.avi')")
    assert status == 1
    assert ".avi" in terminal and "Unicode" not in terminal


def test_a_python_that_snakemake_cannot_start_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/home/me/a:b c/bin/python")
    with pytest.raises(UserError, match="start /home/me/a:b c/bin/python, which has a colon"):
        find_interpreter_by_path()


def test_versions_name_what_results_depend_on():
    versions = package_versions()
    assert {"python", "torch", "opencv-contrib-python", "av", "numpy"} <= set(versions)
    assert code_version().startswith(__version__)
