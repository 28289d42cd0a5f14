"""Errors of videos: a status word and a sentence."""

from pathlib import Path
from typing import Literal

from tsn.runtime.errors import UserError

Status = Literal[
    "missing",
    "inaccessible",
    "empty",
    "unreadable",
    "truncated",
    "incomplete",
    "no_times",
    "too_short",
    "too_long",
    "too_big",
    "size_changed",
    "crashed",
    "timed_out",
    "disconnected",
]

_ADVICE = {
    "missing": "check the name and the data set's folder",
    "inaccessible": "check its permissions, its name and the disk",
    "empty": "fetch the file again",
    "unreadable": "fetch the file again, or convert it to AVI, MP4 or MKV",
    "truncated": "fetch the file again",
    "incomplete": "restore the images, or remove the video from the lists",
    "no_times": "set frame_folders.frame_rate, or give its clips as start_frame and end_frame",
    "too_short": "remove the video from the lists",
    "too_long": "cut it into clips, or raise data.max_frames",
    "too_big": "scale it down, or fetch the file again",
    "size_changed": "convert the video to one size",
    "crashed": "fetch the file again, or convert it to AVI, MP4 or MKV",
    "timed_out": "fetch the file again, or convert it to AVI, MP4 or MKV",
    "disconnected": "check the camera, the address and the network",
}


class VideoError(UserError):
    """A video that cannot be used; its text is one sentence that names the file.

    Attributes:
        status: what is wrong with it, one of `Status`.
        problem: the predicate of the sentence, such as "has no bytes in it".
    """

    def __init__(self, status: Status, path: Path | str, problem: str):
        # The repr keeps a name with line breaks or undecodable bytes printable, on one line.
        super().__init__(status, path, problem)
        self.status = status
        self.problem = problem

    def __str__(self) -> str:
        status, path, problem = self.args
        return f"Video {str(path)!r} {problem}; {_ADVICE[status]}"
