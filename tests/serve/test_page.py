"""The local page by HTTP: uploads, their limits, the queue, and what is left behind."""

import http.client
import json
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("starlette")
uvicorn = pytest.importorskip("uvicorn")

from tsn.runtime.errors import UserError  # noqa: E402
from tsn.serve import app as page  # noqa: E402
from tsn.serve.__main__ import main  # noqa: E402
from tsn.serve.jobs import Limits  # noqa: E402


class Site:
    """A running page whose networks are a function."""

    def __init__(self, port: int, folder):
        self.port, self.folder = port, folder

    def ask(self, method: str, path: str, body=None, headers=None) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, json.loads(text) if text.startswith("{") else {"text": text}

    def finished(self, key: str) -> dict:
        for _ in range(400):
            status, job = self.ask("GET", f"/api/videos/{key}")
            if status != 200 or job["state"] in ("done", "failed"):
                return job
            time.sleep(0.01)
        raise AssertionError(job)

    def files(self) -> list:
        for _ in range(200):
            if not (left := list(self.folder.iterdir())):
                break
            time.sleep(0.01)
        return left


@pytest.fixture
def serve(monkeypatch, tmp_path):
    @contextmanager
    def start(classify, **limits):
        monkeypatch.setattr(page, "classify", lambda _, path, advance: classify(path, advance))
        app = page.make_app(None, tmp_path, Limits(**limits))
        server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", 0, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        (socket,) = server.servers[0].sockets
        try:
            yield Site(socket.getsockname()[1], tmp_path)
        finally:
            server.should_exit = True
            thread.join()

    return start


def test_a_video_is_classified_and_its_file_removed(serve):
    def classify(path, advance):
        advance("frames", 0.5)
        return {"size": Path(path).stat().st_size}

    with serve(classify) as site:
        assert "<title>" in site.ask("GET", "/")[1]["text"]
        status, job = site.ask("POST", "/api/videos?name=a%20b.mp4", b"x" * 1000)
        assert (status, job["name"]) == (202, "a b.mp4")
        done = site.finished(job["id"])
        assert (done["state"], done["result"]) == ("done", {"size": 1000})
        assert site.files() == []
        assert site.ask("DELETE", f"/api/videos/{job['id']}")[0] == 204
        assert site.ask("GET", f"/api/videos/{job['id']}")[0] == 404


def test_what_is_no_video_is_one_sentence_with_the_name_that_it_has_for_the_user(serve):
    def classify(path, advance):
        raise UserError(f"{path}: is not a video")

    with serve(classify) as site:
        _, job = site.ask("POST", "/api/videos?name=cv.pdf", b"%PDF")
        failed = site.finished(job["id"])
        assert (failed["state"], failed["error"]) == ("failed", "cv.pdf: is not a video")
        assert site.files() == []


def test_too_large_an_upload_is_refused_whether_it_says_so_or_not(serve):
    with serve(lambda *_: {}, bytes=10) as site:
        assert site.ask("POST", "/api/videos?name=a", b"x" * 11)[0] == 413
        chunks = iter([b"x" * 6, b"x" * 6])
        status, error = site.ask("POST", "/api/videos?name=a", chunks)
        assert status == 413 and "a: is larger than" in error["error"]
        assert site.ask("POST", "/api/videos", b"")[0] == 400
        assert 'Number("10")' in site.ask("GET", "/")[1]["text"]
        assert site.files() == []


def test_one_video_at_a_time_and_no_more_than_the_queue_holds(serve):
    go, running = threading.Event(), []

    def classify(path, advance):
        running.append(path)
        assert len(running) == 1
        go.wait(20)
        running.remove(path)
        return {}

    with serve(classify, waiting=1) as site:
        _, first = site.ask("POST", "/api/videos", b"1")
        while not running:
            time.sleep(0.01)
        _, second = site.ask("POST", "/api/videos", b"2")
        job = site.ask("GET", f"/api/videos/{second['id']}")[1]
        assert (job["state"], job["before"]) == ("waiting", 1)
        assert site.ask("POST", "/api/videos", b"3")[0] == 503
        go.set()
        assert [site.finished(job["id"])["state"] for job in (first, second)] == ["done", "done"]
        assert site.files() == []


@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_work_ends_where_nobody_waits_for_it(serve, how):
    begun, ended = threading.Event(), threading.Event()

    def classify(path, advance):
        begun.set()
        try:
            while True:
                advance("frames", 0.1)
                time.sleep(0.005)
        finally:
            ended.set()

    with serve(classify, unseen=0.2 if how == "forgotten" else 60) as site:
        _, job = site.ask("POST", "/api/videos", b"1")
        assert begun.wait(20)
        if how == "closed":
            site.ask("DELETE", f"/api/videos/{job['id']}")
        assert ended.wait(20)
        assert site.files() == []
        assert site.ask("GET", f"/api/videos/{job['id']}")[0] == 404


def test_work_has_a_time_limit(serve):
    def classify(path, advance):
        while True:
            advance("frames", 0.1)
            time.sleep(0.005)

    with serve(classify, seconds=0.05) as site:
        _, job = site.ask("POST", "/api/videos?name=long.mp4", b"1")
        assert "long.mp4: took longer than 0.05 s" in site.finished(job["id"])["error"]


def test_an_upload_that_breaks_off_leaves_nothing(serve):
    with serve(lambda *_: {}) as site:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
        connection.putrequest("POST", "/api/videos")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"x" * 10)
        while not list(site.folder.iterdir()):
            time.sleep(0.01)
        connection.close()
        assert site.files() == []


def test_pages_of_other_sites_are_refused(serve):
    with serve(lambda *_: {}) as site:
        elsewhere = {"Origin": "http://elsewhere.example"}
        assert site.ask("POST", "/api/videos", b"1", elsewhere)[0] == 403
        assert site.ask("GET", "/", headers={"Host": "elsewhere.example"})[0] == 400


def test_an_upload_that_cannot_be_stored_is_told(serve, monkeypatch):
    monkeypatch.setattr(page.secrets, "token_hex", lambda _: "nowhere/a")
    with serve(lambda *_: {}) as site:
        status, answer = site.ask("POST", "/api/videos?name=a.mp4", b"x")
        assert status == 507 and answer["error"].startswith("a.mp4: cannot be stored (")


def test_a_port_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["-e", "nothing", "--port", "70000"])
    assert "'70000' is no port" in capsys.readouterr().err
