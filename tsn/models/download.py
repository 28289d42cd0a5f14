"""Weights from an address: downloaded once, checked, kept."""

import os
import re
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlparse

from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of

TIMEOUT = 30.0
"""Seconds without a byte after which a download fails."""

_CHUNK = 1 << 20

_DIGITS_IN_NAME = re.compile(r"-([0-9a-f]{8,64})(?:\.\w+)+$")
"""PyTorch's convention for published files: resnet50-0676ba61.pth begins its SHA-256 so."""


def is_address(source: object) -> bool:
    """Whether `source` is an http(s) address rather than a path."""
    return str(source).startswith(("http://", "https://"))


def expected_digits(address: str, sha256: str | None) -> str:
    """The checksum, or its first digits, that a file must have.

    Raises:
        UserError: neither `sha256` nor the file's name says it.
    """
    in_name = _DIGITS_IN_NAME.search(_name(address))
    if sha256 is None and in_name is None:
        raise UserError(
            f"{address}: a file from the network needs its checksum; give it as model.sha256"
        )
    return (sha256 or in_name[1]).lower()


def download(address: str, sha256: str | None = None) -> Path:
    """The local copy of a file, where PyTorch keeps its own downloads (TORCH_HOME).

    Several processes may ask for one file at a time: each one's copy is whole or not there.

    Args:
        address: http or https.
        sha256: checksum in hex, or its first digits; None: taken from the file's name.

    Raises:
        UserError: no checksum, no connection, or another file than expected.
    """
    import torch

    digits = expected_digits(address, sha256)
    kept = Path(torch.hub.get_dir()) / "checkpoints" / f"{digits[:16]}-{_name(address)}"
    if kept.is_file() and sha256_of(kept).startswith(digits):
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=kept.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _copy(address, file)
        actual = sha256_of(temporary)
        if not actual.startswith(digits):
            raise UserError(
                f"{address} has SHA-256 {actual}, not the expected {digits}: "
                "correct the address or model.sha256"
            )
        Path(temporary).replace(kept)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return kept


def _copy(address: str, file) -> None:
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as response:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
    except (OSError, ValueError) as error:  # urllib's own errors are OSErrors
        raise UserError(
            f"cannot download {address} ({error}): "
            "get the file by other means and give its path as model.weights"
        ) from error


def _name(address: str) -> str:
    return Path(unquote(urlparse(address).path)).name
