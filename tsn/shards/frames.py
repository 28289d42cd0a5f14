"""Frames of a video, from its file or from its folder of images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from tsn.config.frame_folders import FrameFolders
from tsn.datasets.records import Video
from tsn.video import FrameSize, frame_folder, isolation
from tsn.video.decode import MAX_FRAMES
from tsn.video.frame_folder import FrameFolder


def read_frames(
    video: Video,
    size: FrameSize | None,
    colour: Literal["rgb", "grey"] = "rgb",
    max_frames: int = MAX_FRAMES,
    folders: FrameFolders | None = None,
) -> Iterator[np.ndarray]:
    """The frames of a video or clip: see `tsn.video.decode.read_frames`.

    Args:
        video: what to read.
        size: width and height of the frames in pixels, or their shorter side; None for the video's.
        colour: "rgb", or "grey" for Rec. 601 luma.
        max_frames: a video with more is bad.
        folders: how folders of images are named; None for video files.

    Raises:
        VideoError: the video is bad; possibly after some frames.
    """
    if folders is None:
        return isolation.read_frames(
            video.path, size, colour, max_frames=max_frames, span=video.span
        )
    return frame_folder.read_frames(folder_of(video, folders), size, colour, max_frames)


def folder_of(video: Video, folders: FrameFolders) -> FrameFolder:
    """The folder of images of a video."""
    return FrameFolder(Path(video.path), folders.names, folders.frame_rate, video.span)
