"""Detect truncated video files by the lengths their containers declare.

AVI, MP4 / QuickTime, Matroska / WebM and Y4M state the length of their parts in front of them.
Walking those lengths, without reading the parts, finds a half-finished copy or download before
any of it is decoded; FFmpeg reads such files without an error and yields fewer frames.
"""

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

# Some AVI writers count the 8 bytes of chunk header into the size, and some leave out the pad
# byte at the end: a file may be this much shorter than it says and still be whole.
_AVI_SLACK = 8

# Enough for days of fragmented MP4; bounds the walk through a file made of tiny boxes.
_MAX_PARTS = 100_000

# What stands at the top level of MP4 and QuickTime files; anything else after the last of these
# (padding, a camera's own data) is none of the video's.
_MP4_BOXES = {
    *(b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"meta", b"udta", b"uuid"),
    *(b"sidx", b"ssix", b"prft", b"emsg", b"pdin", b"free", b"skip", b"wide", b"pnot"),
}

_EBML_HEADER = 0x1A45DFA3  # RFC 8794, section 11.2.1
_SEGMENT = 0x18538067  # RFC 9559, section 5.1
_MATROSKA_PARTS = {
    _EBML_HEADER,
    _SEGMENT,
    0x114D9B74,  # SeekHead
    0x1549A966,  # Info
    0x1654AE6B,  # Tracks
    0x1F43B675,  # Cluster
    0x1C53BB6B,  # Cues
    0x1941A469,  # Attachments
    0x1043A770,  # Chapters
    0x1254C367,  # Tags
    0xEC,  # Void
    0xBF,  # CRC-32
}


def find_truncation(file: BinaryIO, size: int) -> str | None:
    """What is missing at the end of a video file, by the lengths its container declares.

    Args:
        file: the file, opened for reading in binary mode; its position changes.
        size: length of the file in bytes.

    Returns:
        A clause such as "its AVI header promises 192102 bytes, the file has 57630", or None
        when nothing is missing or the container declares no length: other formats, AVI and
        Matroska written to a pipe.

    Raises:
        OSError: the file could not be read.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] in (b"AVI ", b"AVIX"):
        return _overrun("AVI", _riff_ends(file), size, slack=_AVI_SLACK)
    if head[4:8] in _MP4_BOXES:
        return _check_mp4(file, size)
    if head[:10] == b"YUV4MPEG2 ":
        return _check_y4m(file, size)
    if head[:4] == _EBML_HEADER.to_bytes(4, "big"):
        return _overrun("Matroska", _matroska_ends(file), size)
    return None


def _overrun(container: str, ends: Iterator[int], size: int, slack: int = 0) -> str | None:
    promised = max(ends, default=0)
    if promised > size + slack:
        return f"its {container} header promises {promised} bytes, the file has {size}"
    return None


def _riff_ends(file: BinaryIO) -> Iterator[int]:
    """Yield the end of every RIFF chunk: one, or one per gigabyte or two (OpenDML 1.02)."""
    position = 0
    for _ in range(_MAX_PARTS):
        file.seek(position)
        header = file.read(12)
        if len(header) < 12 or header[:4] != b"RIFF" or header[8:] not in (b"AVI ", b"AVIX"):
            return
        (length,) = struct.unpack("<I", header[4:8])
        if length in (0, 0xFFFFFFFF):  # never filled in: written to a pipe
            return
        position += 8 + length + length % 2
        yield position


def _check_mp4(file: BinaryIO, size: int) -> str | None:
    """Boxes of ISO/IEC 14496-12, section 4.2: length, type, contents, one after the other."""
    types = set()
    position = 0
    for _ in range(_MAX_PARTS):
        file.seek(position)
        header = file.read(16)
        if header[4:8] not in _MP4_BOXES:
            break
        length, kind = struct.unpack(">I4s", header[:8])
        types.add(kind)
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack(">Q", header[8:])
        if length < 8:  # 0: this box reaches to the end of the file, whatever that is
            break
        position += length
        if position > size:
            name = kind.decode()
            return f"its MP4 box {name!r} ends at byte {position}, the file has {size}"
    if b"mdat" in types and b"moov" not in types:
        return "its MP4 index, the 'moov' box, was never written"
    return None


def _check_y4m(file: BinaryIO, size: int) -> str | None:
    """A header line, then frames: a line that begins with FRAME, and the planes (mjpegtools)."""
    file.seek(0)
    header = file.readline(1000).decode("ascii", "replace").split()
    fields = {word[0]: word[1:] for word in header[1:]}
    try:
        width, height = int(fields["W"]), int(fields["H"])
    except (KeyError, ValueError):
        return None
    format_ = fields.get("C", "420")
    # Parts of the luma plane that a chroma plane has in width and height, and how many planes.
    across, down, planes = next(
        (shape for name, shape in _Y4M_CHROMA.items() if format_.startswith(name)), (0, 0, 0)
    )
    if not across:
        return None
    depth = 2 if re.search(r"(p|mono)1\d$", format_) else 1
    alpha = "alpha" in format_
    frame = width * height * (1 + alpha) + planes * -(-width // across) * -(-height // down)
    position = file.tell()
    for _ in range(_MAX_PARTS):
        file.seek(position)
        line = file.readline(1000)
        if not line or not (line.startswith(b"FRAME") or b"FRAME".startswith(line)):
            return None
        position += len(line) + frame * depth
        if position > size:
            return f"its last Y4M frame ends at byte {position}, the file has {size}"
    return None


_Y4M_CHROMA = {
    "420": (2, 2, 2),
    "422": (2, 1, 2),
    "444": (1, 1, 2),
    "411": (4, 1, 2),
    "mono": (1, 1, 0),
}


def _matroska_ends(file: BinaryIO) -> Iterator[int]:
    """Yield the end of the segment or, where it is unknown, of the parts in it one by one.

    RFC 8794, sections 5 and 6; RFC 9559, section 5.
    """
    position = 0
    for _ in range(_MAX_PARTS):
        file.seek(position)
        head = file.read(12)
        identifier, id_width = _vint(head, keep_marker=True)
        length, length_width = _vint(head[id_width:], keep_marker=False)
        if identifier not in _MATROSKA_PARTS or not length_width:
            return
        position += id_width + length_width
        unknown = length == (1 << 7 * length_width) - 1  # all ones: written to a pipe
        if unknown and identifier == _SEGMENT:
            continue  # with its first part
        if unknown:
            return
        position += length
        yield position
        if identifier == _SEGMENT:  # the rest of the file is not video
            return


def _vint(data: bytes, keep_marker: bool) -> tuple[int, int]:
    """An EBML number and its width in bytes: as many as the first byte has leading zeros, plus 1.

    Returns (0, 0) for what is not one.
    """
    if not data or not data[0]:
        return 0, 0
    width = 9 - data[0].bit_length()
    if len(data) < width:
        return 0, 0
    value = int.from_bytes(data[:width], "big")
    return (value if keep_marker else value & ((1 << 7 * width) - 1)), width
