"""Folders of images, as programs and published data sets have them."""

from pathlib import Path

import numpy as np

from tsn.shards.jpeg import encode_jpeg
from tsn.video.naming import Naming


def write_images(video: Path, naming: Naming, frames: int, fields: int, start: int = 1) -> Path:
    """Frame n is grey 10 n; x and y of flow field n are 100 + n and 200 + n."""
    kinds = [(naming.rgb, frames, lambda n: 10 * n)]
    for template, base in zip(naming.flow or (), (100, 200), strict=False):
        kinds.append((template, fields, lambda n, base=base: base + n))
    for template, count, value in kinds:
        for n in range(count):
            text = template.replace("{name}", video.name).format(n + start)
            file = Path(video / text).resolve()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode_jpeg(np.full((24, 32, 3), value(n), np.uint8), 100))
    return video
