"""The list of videos of every shard, which a run writes as it starts and its jobs read.

A job's parameter is the name of its list and a digest of it. So a shard is made anew when its own
videos change, the record of a job stays small however many videos there are, and a job on another
node reads one short list instead of scanning the whole data set again.

No rule writes the lists: below a rule that runs anyway, Snakemake (9.27) does not look at changed
parameters, so one new video would make all shards anew, or leave a stale one.

This runs while the Snakefile is parsed, so it imports nothing heavy.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from tsn.datasets.records import Video
from tsn.runtime.errors import UserError
from tsn.runtime.files import read_tsv, write_tsv
from tsn.video.span import Span

_LISTS = "[0-9]*.tsv"
"""Not what operating systems and editors leave beside files, such as ._0000.tsv."""

COLUMNS = ("id", "path", "class", "stamp", "span")

VideosByShard = Mapping[str, Sequence[Video]]
"""Name of a shard -> its videos."""


class ShardLists:
    """The lists of all data sets, for the process that plans a run and for its jobs.

    Args:
        results: the folder `results/`.
        find: looks for the videos of a data set: its name -> {shard name: its videos}.
        is_job: whether this process is a job on another node, which trusts the lists that it finds.
        write_at_once: write the lists of a data set as soon as they are found, for want of a later
            moment to call `write` at.
    """

    def __init__(
        self,
        results: str,
        find: Callable[[str], VideosByShard],
        is_job: bool,
        write_at_once: bool = False,
    ):
        self._results, self._is_job, self._write_at_once = Path(results), is_job, write_at_once
        self._found: dict[str, VideosByShard] = {}
        self._find = find
        self.shards = cache(self._shards)
        self.list_and_digest = cache(self._list_and_digest)

    def _shards(self, dataset: str) -> list[str]:
        """The shards that have a video."""
        listed = self._is_job and sorted(file.stem for file in self._folder(dataset).glob(_LISTS))
        return listed or list(self._videos(dataset))

    def _list_and_digest(self, dataset: str, shard: str) -> list[str]:
        """The file with the list of a shard, and the digest of the list, for `read_list`.

        Raises:
            UserError: if there is no video in the shard.
        """
        file = self._folder(dataset) / f"{shard}.tsv"
        if self._is_job and file.exists():
            return [str(file), digest(_read(file))]
        if shard not in self._videos(dataset):
            raise UserError(f"{dataset}: there is no video in shard {shard}")
        return [str(file), digest(self._videos(dataset)[shard])]

    def write(self) -> None:
        """Write the lists of every data set that was asked for, and remove those of no shard.

        Files that say the same already are left alone.
        """
        for dataset, shards in self._found.items():
            for shard, videos in shards.items():
                file = self._folder(dataset) / f"{shard}.tsv"
                if not file.exists() or digest(_read(file)) != digest(videos):
                    write_tsv(file, COLUMNS, map(_row, videos))
            for file in self._folder(dataset).glob(_LISTS):
                if file.stem not in shards:
                    file.unlink(missing_ok=True)

    def _videos(self, dataset: str) -> VideosByShard:
        if dataset not in self._found:
            self._found[dataset] = self._find(dataset)
            if self._write_at_once and not self._is_job:
                self.write()
        return self._found[dataset]

    def _folder(self, dataset: str) -> Path:
        return self._results / dataset / "shards" / "videos"


def digest(videos: Iterable[Video]) -> str:
    """Changes with what a shard depends on: its videos, and the files themselves (their stamps)."""
    # Without a span the row is as it was before there were any: no shard is made anew.
    text = json.dumps([_row(v) if v.span else _row(v)[:-1] for v in videos])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_list(file: Path | str, expected: str) -> list[Video]:
    """The videos of a shard: id, path, class and stamp of each.

    Args:
        file: the list.
        expected: the digest that the job was started with.

    Raises:
        UserError: if there is no list, or it is not the one that the job was started with.
    """
    try:
        videos = _read(Path(file))
    except FileNotFoundError:
        raise UserError(
            f"{file}: there is no such list of videos; Snakemake writes it as a run starts: run it "
            "without --no-hooks, in a folder that all nodes share"
        ) from None
    if digest(videos) != expected:
        raise UserError(
            f"{file}: names other videos than when this job was planned; another run started in "
            "the meantime: when it has ended, run the same command again"
        )
    return videos


def _row(video: Video) -> list[str]:
    span = "" if video.span is None else str(video.span)
    return [video.id, video.path, video.class_text, video.stamp, span]


def _read(file: Path) -> list[Video]:
    rows = ([row.get(name) or "" for name in COLUMNS] for row in read_tsv(file)[1])
    return [
        Video(name, path, class_name, stamp=stamp, span=Span.parse(span))
        for name, path, class_name, stamp, span in rows
    ]
