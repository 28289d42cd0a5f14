"""A corpus of small videos in many formats, and seeded ways to damage them."""

import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

import av
import numpy as np

FORMATS = {
    "avi": ("mpeg4", "yuv420p", {}),
    "mp4": ("libx264", "yuv420p", {}),
    "fast.mp4": ("libx264", "yuv420p", {"movflags": "+faststart"}),
    "pieces.mp4": ("mpeg4", "yuv420p", {"movflags": "+frag_keyframe+empty_moov"}),
    "hevc.mp4": ("libx265", "yuv420p", {}),
    "mkv": ("libx264", "yuv420p", {}),
    "live.mkv": ("ffv1", "yuv420p", {"live": "1"}),
    "webm": ("libvpx", "yuv420p", {}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {}),
    "mov": ("mjpeg", "yuvj420p", {}),
    "png.mov": ("png", "rgb24", {}),
    "ts": ("mpeg2video", "yuv420p", {}),
    "mpg": ("mpeg1video", "yuv420p", {}),
    "flv": ("flv", "yuv420p", {}),
    "asf": ("wmv2", "yuv420p", {}),
    "nut": ("huffyuv", "yuv422p", {}),
    "gif": ("gif", "rgb8", {}),
    "dv": ("dvvideo", "yuv420p", {}),
    "mxf": ("mpeg2video", "yuv420p", {}),
    "ivf": ("libvpx", "yuv420p", {}),
}
"""Ending -> codec, pixel format and options of the container."""

FRAMES = 10


def make_corpus(folder: Path) -> dict[str, bytes]:
    """Encode a moving pattern once in each format this FFmpeg can write: ending -> file."""
    y, x = np.mgrid[:48, :64]
    images = [
        np.stack([4 * x + 9 * t, 5 * y + 3 * t, 20 * t + x * y], -1) % 256 for t in range(FRAMES)
    ]
    corpus = {}
    for ending, (codec, pix_fmt, options) in FORMATS.items():
        if codec not in av.codecs_available:
            continue
        size = (720, 576) if ending == "dv" else (64, 48)  # DV knows no other
        path = folder / f"seed.{ending}"
        with av.open(str(path), "w", options=options) as out:
            quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
            stream = out.add_stream(codec, rate=25, options=quiet)
            (stream.width, stream.height), stream.pix_fmt = size, pix_fmt
            for image in images:
                frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), format="rgb24")
                out.mux(stream.encode(frame.reformat(*size, pix_fmt)))
            out.mux(stream.encode())
        corpus[ending] = path.read_bytes()
    return corpus


def mutate(corpus: dict[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """Damage a file of the corpus: (what was done and the ending, as a file name, the bytes)."""
    random = Random(f"{seed} {number}")
    ending = random.choice(sorted(corpus))
    damage = random.choice(DAMAGES)
    data = damage(bytearray(corpus[ending]), random, corpus)
    return f"{number:05d} {damage.__name__}.{ending}", bytes(data)


def _place(data: bytearray, random: Random) -> int:
    """A position: half of the time within the headers at the front."""
    return random.randrange(min(len(data), 1000) if random.random() < 0.5 else len(data))


def flip_bits(data: bytearray, random: Random, _) -> bytearray:
    for _ in range(random.choice([1, 3, 30, 300])):
        data[_place(data, random)] ^= 1 << random.randrange(8)
    return data


def cut(data: bytearray, random: Random, _) -> bytearray:
    return data[: random.randrange(len(data))]


def absurd_number(data: bytearray, random: Random, _) -> bytearray:
    """Sizes, rates, counts and lengths that no video has."""
    for _ in range(random.choice([1, 2, 8])):
        number = random.choice([0, 1, 16384, 65535, 10**9, 2**31 - 1, 2**31, 2**32 - 1])
        place = min(_place(data, random), len(data) - 8)
        struct.pack_into(random.choice(["<I", ">I"]), data, place, number)
        if random.random() < 0.3:
            struct.pack_into(random.choice(["<H", ">H"]), data, place, number % 65536)
    return data


FIELDS = [
    *(b"avih", b"strh", b"strf", b"idx1", b"movi"),  # AVI
    *(b"moov", b"mvhd", b"tkhd", b"mdhd", b"stsd", b"stts", b"stsz", b"stsc", b"stco", b"avcC"),
    *(b"tfhd", b"trun"),  # fragmented MP4
    *(b"\x16\x54\xae\x6b", b"\xb0", b"\xba"),  # Matroska: tracks, width, height
    *(b"GIF89a", b"DKIF", b"FLV"),
]


def absurd_field(data: bytearray, random: Random, _) -> bytearray:
    """The same right after the name of a box or chunk, where sizes and counts stand."""
    present = [name for name in FIELDS if name in data]
    for _ in range(random.choice([1, 2, 4])):
        name = random.choice(present or [bytes(data[:4])])
        place = data.index(name) + len(name) + 4 * random.randrange(14)
        number = random.choice([0, 1, 10**9, 2**31 - 1, 2**32 - 1, random.getrandbits(32)])
        if place + 4 <= len(data):
            struct.pack_into(random.choice(["<I", ">I"]), data, place, number)
    return data


def wrong_header(data: bytearray, random: Random, corpus: dict[str, bytes]) -> bytearray:
    """The front of one format before the rest of another."""
    other = corpus[random.choice(sorted(corpus))]
    length = random.choice([4, 12, 64, 500])
    return bytearray(other[:length]) + data[length:]


def nested(data: bytearray, random: Random, corpus: dict[str, bytes]) -> bytearray:
    """A whole file inside another, or behind it."""
    other = corpus[random.choice(sorted(corpus))]
    place = random.choice([len(data), _place(data, random)])
    return data[:place] + other + data[place:]


def moved_blocks(data: bytearray, random: Random, _) -> bytearray:
    """Blocks that are repeated, left out, blank or noise, as after a bad copy."""
    for _ in range(random.choice([1, 4])):
        start, length = _place(data, random), random.choice([1, 16, 512, 4096])
        block = data[start : start + length]
        new = random.choice([block * 2, b"", bytes(len(block)), random.randbytes(len(block))])
        data = data[:start] + new + data[start + length :]
    return data or bytearray(b"\0")


def repeated(data: bytearray, random: Random, _) -> bytearray:
    """One stretch hundreds of times: more frames or boxes than anything promised."""
    start = _place(data, random)
    block = data[start : start + random.choice([32, 256, 2000])]
    return data[:start] + block * random.choice([50, 400]) + data[start:]


Damage = Callable[[bytearray, Random, dict[str, bytes]], bytearray]

DAMAGES: list[Damage] = [
    flip_bits,
    cut,
    absurd_number,
    absurd_field,
    wrong_header,
    nested,
    moved_blocks,
    repeated,
]
