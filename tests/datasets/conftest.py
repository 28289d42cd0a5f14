"""A data set of the layout `list`, of a few files that are no videos."""

import pytest

from tsn.config.checks import checked_dataset
from tsn.datasets.build_index import plan_listing
from tsn.datasets.listing import Listing

GOOD = "path,label,split\na.mp4,Jump,train\nb.mp4,Run,train\nc.mp4,Jump,test\nd.mp4,Run,test\n"


@pytest.fixture
def listing_of(tmp_path, monkeypatch):
    """A function: text of a list, further keys -> the listing of videos a…f."""
    monkeypatch.chdir(tmp_path)
    for name in "abcdef":
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / f"{name}.mp4").write_bytes(b"video")

    def listing(text: str | bytes, invalid="quarantine", **keys) -> Listing:
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        (tmp_path / "list.csv").write_bytes(data)
        block = {"layout": "list", "videos": "videos", "annotations": "list.csv", **keys}
        return plan_listing(checked_dataset("own", block), tmp_path, "quarantine", invalid)

    return listing
