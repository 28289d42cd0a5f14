"""Figures of a prediction: frames, or the whole video, beside the best classes."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tsn.flow.export.figures import add_grid_lines
from tsn.flow.export.formats import mp4_file
from tsn.models.modality import FUSED, NAMES
from tsn.predict.ensemble import Prediction
from tsn.predict.output import top
from tsn.predict.timeline import Segment, shown_classes
from tsn.report.style import DPI, colour, figure, printable
from tsn.video.decode import ANY_LENGTH
from tsn.video.isolation import probe, read_frames

FRAMES = 4
"""Frames of a strip: as many as `python -m tsn.flow` shows."""

BAR_CLASSES = 6
"""Classes in the bar below an annotated video."""

ROW = 18
"""Height in px of a class in it."""

HEIGHT = 256
"""Least height in px of an annotated video, so that its text can be read."""


def write_strip(path: Path, prediction: Prediction, classes: tuple[str, ...], count: int) -> None:
    """Write frames spread over the video, and the best classes beside them, as a PNG.

    Raises:
        VideoError: the video is bad.
    """
    shown = np.linspace(0, prediction.frames - 1, min(FRAMES, prediction.frames)).round()
    wanted = set(shown.astype(int).tolist())
    decoded = read_frames(prediction.path, None, max_frames=ANY_LENGTH)
    frames = [frame for t, frame in enumerate(decoded) if t in wanted]
    height, width = frames[0].shape[:2]
    strip = add_grid_lines(np.concatenate(frames, axis=1), height, width)
    wide = 1.5 * strip.shape[1] / strip.shape[0]
    with figure(path, wide + 3.4, 2.0, columns=2, width_ratios=(wide, 1.8)) as (left, right):
        left.imshow(strip)
        left.set_axis_off()
        left.set_title(printable(Path(prediction.path).name, 60))
        draw_bars(right, prediction, classes, count)


def write_video(
    path: Path,
    prediction: Prediction,
    classes: tuple[str, ...],
    count: int,
    segments: Sequence[Segment] = (),
) -> None:
    """Write the video with the best classes beside it, as an MP4.

    Where there are segments, a bar below shows them over time, and where the video is.

    Raises:
        VideoError: the video is bad.
    """
    panel = bar = None
    with mp4_file(path, probe(prediction.path)[1]) as write:
        for number, frame in enumerate(read_frames(prediction.path, None, max_frames=ANY_LENGTH)):
            enlarged = _enlarged(frame)
            if panel is None:
                panel = _panel(enlarged.shape[0], prediction, classes, count)
                width = enlarged.shape[1] + panel.shape[1]
                if segments and prediction.timeline:
                    duration = prediction.timeline.duration
                    bar = draw_bar(width, duration, segments, classes)
            shown = np.concatenate([enlarged, panel], axis=1)
            if bar is not None:
                below = bar.copy()
                now = min(width * number // prediction.frames, width - 2)
                below[:, now : now + 2] = 0
                shown = np.concatenate([shown, below])
            write(shown[None])


def draw_bar(
    width: int, duration: float, segments: Sequence[Segment], classes: tuple[str, ...]
) -> np.ndarray:
    """The segments over time as an image, uint8 (H, width, 3) RGB: a row for each class."""
    labels = shown_classes(segments, BAR_CLASSES)
    canvas = Figure(figsize=(width / DPI, ROW * len(labels) / DPI), dpi=DPI)
    agg = FigureCanvasAgg(canvas)
    axes = canvas.add_axes((0, 0, 1, 1))
    for row, label in enumerate(labels):
        spans = [(s.start, s.end - s.start) for s in segments if s.label == label]
        axes.broken_barh(spans, (row + 0.08, 0.84), color=f"C{row % 10}", alpha=0.5)
        text = printable(classes[label])
        axes.text(0.005, row + 0.5, text, transform=axes.get_yaxis_transform(),
                  va="center", fontsize=6)  # fmt: skip
    axes.set_xlim(0, duration)
    axes.set_ylim(len(labels), 0)
    axes.set_axis_off()
    agg.draw()
    return np.asarray(agg.buffer_rgba())[..., :3].copy()


def draw_bars(axes: Axes, prediction: Prediction, classes: tuple[str, ...], count: int) -> None:
    """Draw the fused probabilities of the best classes, and the first class of each modality."""
    ranked = top(prediction, classes, count)
    places = range(len(ranked))
    bars = axes.barh(places, [100 * one.probability for one in ranked], color=colour(FUSED))
    axes.bar_label(bars, fmt="%.1f %%", padding=2, fontsize=7)
    axes.set_yticks(places, [printable(one.name, 22) for one in ranked])
    axes.invert_yaxis()
    axes.set_xlim(0, 119)  # room for the label of a bar of 100 %
    axes.set_xticks([0, 50, 100], ["0", "50", "100 %"])
    if len(prediction.scores) > 1:
        firsts = [
            f"{NAMES[name]}: {printable(classes[int(values.argmax())], 22)}"
            for name, values in prediction.scores.items()
        ]
        axes.set_title("\n".join(firsts), fontsize=7, fontweight="normal")


def _enlarged(frame: np.ndarray) -> np.ndarray:
    import cv2

    height, width = frame.shape[:2]
    if height >= HEIGHT:
        return frame
    size = (round(width * HEIGHT / height), HEIGHT)
    return cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)


def _panel(height: int, prediction: Prediction, classes: tuple[str, ...], count: int) -> np.ndarray:
    """The bars as a figure, uint8 (height, 4/3 height, 3) RGB."""
    import cv2

    with TemporaryDirectory() as folder:
        file = Path(folder, "panel.png")
        with figure(file, 3.6, 2.7) as axes:
            draw_bars(axes, prediction, classes, count)
        drawn = np.asarray(cv2.imread(str(file), cv2.IMREAD_COLOR_RGB))
    return cv2.resize(drawn, (round(height * 4 / 3), height), interpolation=cv2.INTER_AREA)
