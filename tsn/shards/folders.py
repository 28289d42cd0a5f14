"""Shards as folders of images and lists, which other programs train on."""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from tsn.datasets.index import class_names, read_index
from tsn.datasets.records import Video
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_folder, atomic_path, write_text
from tsn.runtime.progress import track
from tsn.shards.format import Shard
from tsn.shards.jpeg import encode_grey_jpeg
from tsn.shards.store import ShardSet
from tsn.video.naming import NAMINGS, Naming

logger = logging.getLogger("tsn")


class ImageWriter:
    """Writes the images of one video, numbered as a naming says.

    Args:
        write: takes the name of an image and its bytes.
        naming: what images are called.
    """

    def __init__(self, write: Callable[[str, bytes], object], naming: Naming):
        self._write, self._naming = write, naming
        self._frames, self._fields = count(naming.start or 0), count(naming.start or 0)

    def add_frame(self, jpeg: bytes) -> None:
        """Write the next frame, as it is."""
        self._write(self._naming.rgb.format(next(self._frames)), jpeg)

    def add_flow(self, field: np.ndarray) -> None:
        """Write the next flow field, quantised: uint8 (2, H, W), x and y, as grey JPEGs."""
        number = next(self._fields)
        for template, plane in zip(self._naming.flow or (), field, strict=True):
            self._write(template.format(number), encode_grey_jpeg(plane))


@contextmanager
def image_folder(path: Path, naming: Naming) -> Iterator[ImageWriter]:
    """Write the images of a video; the folder appears when all of them are on disk."""
    with atomic_folder(path) as folder:
        yield ImageWriter(lambda name, data: (folder / name).write_bytes(data), naming)


@contextmanager
def image_zip(path: Path, naming: Naming) -> Iterator[ImageWriter]:
    """The same as a .zip archive without compression, which JPEGs have themselves."""
    with atomic_path(path) as temporary, ZipFile(temporary, "w") as archive:
        yield ImageWriter(archive.writestr, naming)


def export_folders(sources: list[Path], out: Path, naming: str) -> tuple[int, int]:
    """Write frames and flow of shards as folders of images, with lists of them.

    Folders that are there already are kept. Lists are `{stream}_{part}_split{n}.txt`, or
    `{stream}.txt` where no index says what is trained on, with a line `folder images label …` per
    video; `classes.txt` has the names in the order of the labels.

    Args:
        sources: the folder of a data set below `results/`, or shards.
        out: the folder to write.
        naming: a name of `tsn.video.naming.WRITABLE`.

    Returns:
        How many videos were written, and how many were there already.

    Raises:
        UserError: there are no shards, or they do not go together, or two videos would have one
            folder.
    """
    streams, index = _find_shards(sources)
    stores = {stream: ShardSet(paths) for stream, paths in streams.items()}
    listed = read_index(index) if index else _videos_of(next(iter(streams.values())))
    videos = [v for v in listed if all(store.usable(v.id) for store in stores.values())]
    if len(videos) < len(listed):
        logger.warning("%d quarantined video(s) left out", len(listed) - len(videos))
    rules = NAMINGS[naming]
    folders = _folder_names(videos, rules)
    written = 0
    for video in track(videos, len(videos), "videos", "export"):
        if not (out / folders[video.id]).exists():
            with image_folder(out / folders[video.id], rules) as writer:
                if "rgb" in stores:
                    for jpeg in stores["rgb"].jpegs(video.id):
                        writer.add_frame(jpeg)
                if "flow" in stores:
                    flow = stores["flow"]
                    for n in range(flow.length(video.id)):
                        writer.add_flow(flow.read_at(flow.number(video.id), [n])[0])
            written += 1
    _write_lists(out, naming, videos, stores, folders)
    # Of all videos: the line of a class is its label.
    write_text(out / "classes.txt", "".join(f"{name}\n" for name in class_names(listed)))
    return written, len(videos) - written


def _find_shards(sources: list[Path]) -> tuple[dict[str, list[Path]], Path | None]:
    """Shards by stream, and the index beside them."""
    found: dict[str, list[Path]] = defaultdict(list)
    index = None
    for source in sources:
        if not source.is_dir():
            with Shard(source) as shard:
                found["rgb" if shard.stream == "rgb" else "flow"].append(source)
            continue
        # Shards without a list are left over from another number of shards, or of videos.
        listed = {path.stem for path in source.glob("shards/videos/[0-9]*.tsv")}
        for stream in ("rgb", "flow"):
            paths = sorted((source / "shards" / stream).glob("[0-9]*.h5"))
            found[stream] += [path for path in paths if not listed or path.stem in listed]
        if (source / "index.tsv").exists():
            index = source / "index.tsv"
    streams = {stream: paths for stream, paths in found.items() if paths}
    if not streams:
        raise UserError(
            f"{', '.join(map(str, sources))}: there are no shards; name .h5 files, or the folder "
            "of a data set, such as results/ucf101"
        )
    return streams, index if len(sources) == 1 else None


def _videos_of(paths: Iterable[Path]) -> list[Video]:
    """The videos of shards, with labels in the order of the classes' names."""
    videos = []
    for path in paths:
        with Shard(path) as shard:
            videos += [Video(v.id, "", v.class_name) for v in shard.videos.values()]
    labels = {name: n for n, name in enumerate(sorted({v.class_name for v in videos}))}
    return [Video(v.id, "", v.class_name, labels[v.class_name]) for v in videos]


def _folder_names(videos: list[Video], naming: Naming) -> dict[str, str]:
    """Id -> folder; without white space, at which lists are cut."""
    names: dict[str, str] = {}
    for video in videos:
        name = re.sub(r"\s", "_", video.id if naming.nested else video.id.rpartition("/")[2])
        if (other := names.setdefault(name, video.id)) != video.id:
            raise UserError(f"{other!r} and {video.id!r} would both be the folder {name!r}")
    return {video_id: name for name, video_id in names.items()}


def _write_lists(
    out: Path,
    naming: str,
    videos: list[Video],
    stores: dict[str, ShardSet],
    folders: dict[str, str],
) -> None:
    # tsn-pytorch opens what its lists say; the others prefix it.
    prefix = f"{out.resolve()}/" if naming == "tsn_pytorch" else ""
    lists: dict[str, list[str]] = defaultdict(list)
    for video in videos:
        labels = " ".join(map(str, video.labels))
        for stream, store in stores.items():
            line = f"{prefix}{folders[video.id]} {store.length(video.id)} {labels}\n"
            for name in [f"_{part}_split{n}" for n, part in video.splits.items()] or [""]:
                lists[f"{stream}{name}.txt"].append(line)
    for name, lines in lists.items():
        write_text(out / name, "".join(lines))
