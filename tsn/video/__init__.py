"""Decoding of videos in isolated processes, exact or with an error."""

Size = tuple[int, int]
"""Width and height in pixels."""

FrameSize = Size | int
"""Width and height, or the length of the shorter side of frames that keep their aspect."""

MAX_SIDE = 16384
"""Pixels of a side: what claims to be larger is damaged, and would take gigabytes."""


def target_size(own: Size, wanted: FrameSize | None) -> Size:
    """Width and height that frames of a size are resized to; None leaves them as they are.

    With a shorter side, the longer one is rounded as mmcv's `rescale_size` does.

    Examples:
        >>> target_size((320, 240), 256), target_size((240, 320), 256)
        ((341, 256), (256, 341))
    """
    if wanted is None:
        return own
    if isinstance(wanted, int):
        scale = wanted / min(own)
        width, height = (min(int(side * scale + 0.5), MAX_SIDE) for side in own)
    else:
        width, height = wanted
    return width, height
