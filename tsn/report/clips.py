"""Strips of a few clips: frames above their optical flow and their warped flow."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tsn.datasets.index import members
from tsn.datasets.records import Video
from tsn.flow.draw import colour_code
from tsn.flow.export.figures import add_grid_lines, colour_scale, limit_magnitude
from tsn.flow.quantise import dequantise
from tsn.report.motion import write_motion
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path, write_json
from tsn.shards.jpeg import encode_jpeg
from tsn.shards.store import ShardSet

CLIPS = 6
"""Clips to show."""

MOMENTS = 5
"""Frames, and flow fields below them, of a clip."""

_WIDTH = 190
"""Pixels a frame is wide in a strip; five of them fit beside a sidebar."""

_QUALITY = 88
"""Of the JPEG files: flow has large plain areas, in which lower ones show blocks."""


@dataclass(frozen=True)
class Strip:
    """A strip that was drawn.

    Attributes:
        file: its name in the folder.
        id: of the video.
        class_name: of the video.
        streams: rows of the strip from above: "rgb", "flow", "warped_flow".
        scale: motion in px, at the size of the shards, that is shown in full colour.
        clipped: fraction (0…1) of the video's flow that is beyond the bound.
    """

    file: str
    id: str
    class_name: str
    streams: tuple[str, ...]
    scale: float
    clipped: float = 0.0

    @property
    def stem(self) -> str:
        """The name of its file without the ending."""
        return Path(self.file).stem


def choose(videos: list[Video], usable: Callable[[str], bool], count: int = CLIPS) -> list[Video]:
    """Choose test videos of classes that lie evenly in the list of classes.

    Args:
        videos: test videos.
        usable: whether all streams have the video of an id.
        count: how many, at most one a class while there are classes enough.
    """
    by_class: dict[int, list[Video]] = {}
    for video in sorted(videos, key=lambda video: video.id):
        if usable(video.id):
            by_class.setdefault(video.label, []).append(video)
    classes = [by_class[label] for label in sorted(by_class)]
    if len(classes) <= count:
        # Round by round: the first of each class, then the second.
        rounds = max(map(len, classes), default=0)
        ordered = [group[n] for n in range(rounds) for group in classes if n < len(group)]
        return sorted(ordered[:count], key=lambda video: (video.label, video.id))
    places = np.linspace(0, len(classes) - 1, count).round().astype(int)
    return [classes[place][0] for place in places]


def draw_clips(folder: Path | str, index: list[Video], split: int, shards: list[list[str]]) -> None:
    """Draw strips of a few test videos.

    Args:
        folder: gets `clips.json`, a list of `Strip`, and one JPEG for each; and `motion.json`, see
            `tsn.report.motion`.
        index: the data set.
        split: whose test videos.
        shards: files of each stream: RGB, flow, warped flow; RGB may be absent.

    Raises:
        UserError: if a shard is damaged, or no stream is given.
    """
    stores = {store.stream: store for store in map(ShardSet, shards)}
    if not stores:
        raise UserError("clips: there is no stream to show; add one to modalities")
    chosen = choose(
        members(index, split, "test"),
        lambda video_id: all(store.usable(video_id) for store in stores.values()),
    )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    strips = []
    for number, video in enumerate(chosen, 1):
        image, scale = draw_strip(stores, video.id)
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", video.class_name)[:40]
        strips.append(
            Strip(
                f"{number}.{name}.jpg",
                video.id,
                video.class_text,
                tuple(stores),
                scale,
                max(store.clipped(video.id) for store in stores.values()),
            )
        )
        with atomic_path(folder / strips[-1].file) as temporary:
            temporary.write_bytes(encode_jpeg(image, _QUALITY))
    write_json(folder / "clips.json", [asdict(strip) for strip in strips])
    write_motion(folder / "motion.json", index, stores)


def draw_strip(stores: dict[str, ShardSet], video_id: str) -> tuple[np.ndarray, float]:
    """Draw one video.

    Args:
        stores: by stream; each is a row of the strip.
        video_id: of a video that all streams have.

    Returns:
        uint8 (rows * h, columns * w, 3) RGB; and the motion in px that is shown in full colour,
        the same for all rows of flow.
    """
    pairs = min(store.length(video_id) for store in stores.values())
    moments = np.linspace(0, pairs - 1, min(MOMENTS, pairs)).round().astype(int).tolist()
    flows = {
        stream: dequantise(
            store.read(video_id, moments).transpose(0, 3, 1, 2), store.fingerprint["bound"]
        )
        for stream, store in stores.items()
        if stream != "rgb"
    }
    scale = max(map(colour_scale, flows.values()), default=1.0)
    rows = []
    for stream, store in stores.items():
        if stream == "rgb":
            rows.append(store.read(video_id, moments))
        else:
            fields = limit_magnitude(flows[stream], scale)
            rows.append(np.stack([colour_code(field, scale) for field in fields]))
    height, width = rows[0].shape[1:3]
    small = (_WIDTH, max(1, round(_WIDTH * height / width)))
    strip = np.concatenate([np.concatenate([_resized(p, small) for p in row], 1) for row in rows])
    return add_grid_lines(strip, small[1], small[0]), scale


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    shrinks = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)


def read_strips(folder: Path | str) -> list[Strip]:
    """The strips that `draw_clips` drew into a folder."""
    entries = json.loads((Path(folder) / "clips.json").read_text(encoding="utf-8"))
    return [Strip(**{**entry, "streams": tuple(entry["streams"])}) for entry in entries]
