"""The local page: one HTML file and a JSON interface of three addresses."""

import base64
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tsn.predict.ensemble import Advance, Ensemble
from tsn.predict.moments import find_moments, image_of
from tsn.predict.output import as_dict
from tsn.serve.jobs import Jobs, Limits
from tsn.shards.jpeg import encode_jpeg

PAGE = Path(__file__).with_name("page.html")
TELLING = 3
"""Moments that are shown."""

CURVES = 3
"""Classes whose probabilities are shown over time."""


def make_app(ensemble: Ensemble, folder: Path, limits: Limits) -> Starlette:
    """The page of a run.

    Args:
        ensemble: its networks.
        folder: where uploads lie while they are worked on.
        limits: of uploads.
    """
    jobs = Jobs(lambda path, advance: classify(ensemble, path, advance), limits)

    # The page refuses what is too large by itself: browsers show no answer to half an upload.
    html = PAGE.read_text(encoding="utf-8").replace("{{ max_bytes }}", str(limits.bytes))

    async def page(_: Request) -> Response:
        return HTMLResponse(html)

    async def upload(request: Request) -> Response:
        """The body is the video, `?name=` what it is called."""
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers["host"]:
            return _error(403, "this is a page of another site")
        if jobs.full:
            return _error(503, f"{limits.waiting} videos are waiting; try again later")
        name = request.query_params.get("name", "video")
        too_large = _error(413, f"{name}: is larger than {limits.bytes / 1e6:.0f} MB")
        if int(request.headers.get("content-length", 0)) > limits.bytes:
            return too_large
        path, size = folder / f"{secrets.token_hex(8)}.upload", 0
        try:
            with path.open("wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > limits.bytes:
                        break
                    file.write(chunk)
        except ClientDisconnect:
            size = 0
        except OSError as error:  # such as a full disk
            path.unlink(missing_ok=True)
            return _error(507, f"{name}: cannot be stored ({error.strerror})")
        if not 0 < size <= limits.bytes:
            path.unlink()
            return too_large if size else _error(400, f"{name}: no data came")
        return JSONResponse(jobs.look(jobs.add(name, path).id), 202)

    async def look(request: Request) -> Response:
        found = jobs.look(request.path_params["id"])
        return JSONResponse(found) if found else _error(404, "there is no such video any more")

    async def drop(request: Request) -> Response:
        jobs.drop(request.path_params["id"])
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/videos", upload, methods=["POST"]),
            Route("/api/videos/{id}", look),
            Route("/api/videos/{id}", drop, methods=["DELETE"]),
        ],
        # A page of another site could name this machine's address as its own.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


def _error(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status)


def classify(ensemble: Ensemble, path: str, advance: Advance) -> dict:
    """The answer for a video as JSON: that of `--json`, scores over time, and telling moments."""
    found = find_moments(ensemble, path, advance)
    answer = as_dict(found.prediction, ensemble.classes, 5)
    del answer["video"]
    shown = np.argsort(-found.prediction.fused, kind="stable")[:CURVES]
    return {
        **answer,
        "times": found.times.tolist(),
        "leads": found.leads.tolist(),
        "curves": [
            {"class": ensemble.classes[n], "probabilities": found.probabilities[:, n].tolist()}
            for n in shown
        ],
        "moments": [
            {
                "time": float(found.times[snippet]),
                "lead": float(found.leads[snippet]),
                "images": {
                    modality: _data_uri(image_of(found, modality, snippet))
                    for modality in found.starts
                    if modality != "rgb_diff"
                },
            }
            for snippet in found.telling(TELLING)
        ],
    }


def _data_uri(image: np.ndarray) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(image, 85)).decode()}"
