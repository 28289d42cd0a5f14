"""What a file is that was given for weights and holds none: people get web pages and pointers."""

import zipfile
from pathlib import Path

_STARTS = (
    (b"version https://git-lfs", "a pointer of Git LFS and not the file: fetch it by git lfs pull"),
    (b"<!doctype", "a web page: download the file itself"),
    (b"<html", "a web page: download the file itself"),
    (b"<?xml", "a page in XML: download the file itself"),
    (b"{", "JSON: give the file of the weights"),
    (b"\x89hdf", "an HDF5 file, as of Keras: convert it to PyTorch's names first"),
    (b"\x93numpy", "a NumPy array: save a state dict with torch.save"),
    (b"gguf", "a GGUF file: give the weights that it was made of"),
    (b"\x1f\x8b", "compressed by gzip: decompress it"),
    (b"bzh", "compressed by bzip2: decompress it"),
    (b"7z\xbc\xaf", "a 7z archive: give a file in it"),
    (b"rar!", "a RAR archive: give a file in it"),
)
"""Beginnings of files, in lower case."""


def describe(path: Path) -> str:
    """What a file is, and what to do; "" if it is nothing that is known."""
    with path.open("rb") as file:
        head = file.read(300)
    if not head.strip(b"\0"):
        return "empty: get it again"
    if path.suffix.lower() == ".caffemodel":
        return "a model of Caffe: convert it first (docs/models.md)"
    # ONNX is a protobuf whose first field is ir_version, and whose next ones are few.
    if head[0] == 8 and 0 < head[1] < 30 and head[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a"):
        return "an ONNX model: give the state dict that it was exported from"
    if head.startswith(b"PK"):
        return _in_zip(path)
    lowered = head.lstrip().lower()
    return next((text for start, text in _STARTS if lowered.startswith(start)), "")


def _in_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return "cut short: get it again"
    if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
        return "a TorchScript archive: save torch.jit.load(file).state_dict() with torch.save"
    if any(name.endswith("/archive_format") for name in names):
        return "a program of torch.export: give the state dict that it was exported from"
    if any(name.endswith("data.pkl") for name in names):
        return ""  # of torch.save, with something else in it than weights
    if any(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays: save them as a state dict with torch.save"
    if "model.weights.h5" in names:
        return "a model of Keras: convert it to PyTorch's names first"
    return "a ZIP archive: give a file in it"
