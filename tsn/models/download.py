"""Weights from an address: downloaded once, checked, kept."""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

from tsn.runtime.caches import writable_cache
from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of

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
    if sha256 is not None:
        return sha256.lower()
    if match := _DIGITS_IN_NAME.search(_name(address)):
        return match[1]
    raise UserError(
        f"{address}: a file from the network needs its checksum; give it as model.sha256"
    )


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
    folder = writable_cache([kept.parent], "TORCH_HOME", "the weights are downloaded in each run")
    kept = folder / kept.name
    try:
        torch.hub.download_url_to_file(address, str(kept), digits, progress=False)
    except RuntimeError as error:  # says which checksum it found
        raise UserError(f"{address}: {error}; correct the address or model.sha256") from error
    except (OSError, ValueError) as error:  # urllib's own errors are OSErrors
        raise UserError(
            f"cannot download {address} ({error}): "
            "get the file by other means and give its path as model.weights"
        ) from error
    return kept


def _name(address: str) -> str:
    return Path(unquote(urlparse(address).path)).name
