"""Weights from a local file: checked, brought to the names of the network, loaded completely."""

import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from tsn.models.file_kinds import describe
from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of

_OLD_DENSENET_KEY = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)")
"""torchvision's published DenseNet files say norm.1 where the modules are called norm1."""

_AUXILIARY_HEADS = ("aux1.", "aux2.", "AuxLogits.")
"""Training-time classifiers in torchvision's GoogLeNet and Inception files; never built here."""

_KEYS = (
    *("state_dict", "model_state_dict", "model", "net", "network", "weights", "params"),
    *("state_dict_ema", "model_ema", "ema"),
)
"""Where training programs put the state dict of the network among other things; averages last."""

_WRAPPERS = ("module.", "_orig_mod.", "model.", "net.")
"""Put before every name by DataParallel and DistributedDataParallel, by torch.compile, and by the
attribute that a trainer, such as Lightning's, keeps the network in."""

_LISTED = 3
"""How many keys an error message lists of each kind."""


class _Ignored:
    """Stands for what training programs save beside the weights; takes anything, does nothing."""

    def __init__(self, *_: object):
        pass

    def __setstate__(self, _: object) -> None:
        pass


_IGNORED = tuple(
    (_Ignored, name)
    for name in (
        # mmengine keeps its loss curves (message_hub), and numpy scalars appear among metrics.
        "mmengine.logging.history_buffer.HistoryBuffer",
        "builtins.getattr",
        "numpy.ndarray",
        "numpy.dtype",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray._reconstruct",
        "numpy._core.multiarray.scalar",
    )
)
"""Names in other programs' checkpoints that `_Ignored` is put in the place of."""


def read_checkpoint(path: str | Path, sha256: str | None = None) -> Mapping[str, object]:
    """Read what `torch.save` or safetensors wrote: a mapping of tensors and plain values.

    Args:
        path: the file; code in it is never run (`weights_only`).
        sha256: expected SHA-256 of the file in hex, or its first digits; None: not checked.

    Raises:
        UserError: no such file, another checksum, or no such mapping.
    """
    path = Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser() may raise
    if not path.is_file():
        raise UserError(
            f"no weights file {path}: give an existing file, an address, imagenet or none"
        )
    if sha256 is not None:
        check_sha256(path, sha256)
    try:
        if _is_safetensors(path):
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals(list(_IGNORED)):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch's unpickler raises whatever strange bytes lead to
        if kind := describe(path):
            raise UserError(f"{path} holds no weights, it is {kind}") from error
        whole = re.search(r"Unsupported \w+: (?:GLOBAL )?([\w.]+)", str(error))
        found = f" (it holds {whole[1]})" if whole else ""
        raise UserError(
            f"{path} cannot be read as weights of PyTorch or safetensors{found}: "
            "get it again, or save model.state_dict() with torch.save"
        ) from error
    if not isinstance(content, Mapping):
        raise _no_state_dict(path, f"a {type(content).__name__}")
    return content


def _is_safetensors(path: Path) -> bool:
    """Whether a file starts as safetensors do: 8 bytes of length, then the header in JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def state_dict_of(content: Mapping[str, object], path: str | Path) -> Mapping[str, torch.Tensor]:
    """The state dict in a checkpoint: all of it, or what it holds under one of `_KEYS`.

    Names come without the prefixes of `_WRAPPERS`.

    Raises:
        UserError: it holds none; `path` is named, and what it does hold.
    """
    state: Mapping = content
    while inner := next((state[k] for k in _KEYS if isinstance(state.get(k), Mapping)), None):
        state = inner
    if not state or not all(map(torch.is_tensor, state.values())):
        raise _no_state_dict(path, _listed("", [str(key) for key in state]).strip() or "nothing")
    if not all(isinstance(key, str) for key in state):
        raise _no_state_dict(path, "tensors without names")
    for key, tensor in state.items():
        kinds = {"quantised": tensor.is_quantized, "without values": tensor.is_meta}
        kinds["sparse"] = tensor.layout != torch.strided
        if kind := next((kind for kind, is_so in kinds.items() if is_so), ""):
            raise UserError(f"{path}: its tensor {key} is {kind}; give weights as they are trained")
    while prefix := next((p for p in _WRAPPERS if all(k.startswith(p) for k in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def read_state_dict(path: str | Path, sha256: str | None = None) -> Mapping[str, torch.Tensor]:
    """Read a state dict, a mapping of names to tensors; see the two functions above."""
    return state_dict_of(read_checkpoint(path, sha256), path)


def _no_state_dict(path: str | Path, found: str) -> UserError:
    return UserError(
        f"{path} does not hold a state dict, but {found}: "
        "save model.state_dict() with torch.save or safetensors"
    )


def check_sha256(path: Path, expected: str) -> None:
    """Raise UserError unless the file's SHA-256 begins with `expected` (hex, any case).

    The names of published files carry no more than their first 8 to 16 digits.
    """
    if not re.fullmatch("[0-9a-fA-F]{8,64}", expected):
        raise UserError(
            f"{expected!r} is no SHA-256 in hexadecimal: give all 64 digits or at least the first 8"
        )
    actual = sha256_of(path)
    if not actual.startswith(expected.lower()):
        raise UserError(
            f"{path} has SHA-256 {actual}, not the expected {expected}: "
            "get the right file, or correct sha256"
        )


def load_backbone(
    net: nn.Module, state: Mapping[str, torch.Tensor], classifiers: tuple[str, ...], source: str
) -> None:
    """Load `state` into `net`, whose classifier has been taken away; all other keys must match.

    Args:
        net: the network without its classifier.
        state: names to tensors; BN tensors of shape (1, C), as in tsn-pytorch's BN-Inception,
            are taken as (C,).
        classifiers: names of the classifier layer, whose weight and bias are skipped.
        source: what to call the weights in an error.

    Raises:
        UserError: a key is missing or unexpected, or a shape differs; names the first ones.
    """
    wanted = net.state_dict()
    skipped = (*_AUXILIARY_HEADS, *(f"{name}." for name in classifiers))
    given: OrderedDict[str, torch.Tensor] = OrderedDict()
    # Some torchvision modules translate old names by the versions kept here.
    given._metadata = getattr(state, "_metadata", None)  # type: ignore[attr-defined]
    for key, tensor in state.items():
        name = _OLD_DENSENET_KEY.sub(r"\1", key)
        if name.startswith(skipped):
            continue
        if name in wanted and tensor.shape == (1, *wanted[name].shape):
            tensor = tensor.squeeze(0)
        if name in wanted and wanted[name].is_floating_point():
            if not tensor.is_floating_point():
                raise UserError(
                    f"{source} does not fit the backbone: {key} holds {tensor.dtype} and no "
                    "floating-point numbers; give weights as they were trained"
                )
            if not torch.isfinite(tensor).all():
                raise UserError(f"{source}: {key} holds NaN or infinity; give other weights")
        given[name] = tensor
    try:
        missing, unexpected = net.load_state_dict(given, strict=False)
    except (RuntimeError, ValueError) as error:
        # The first line is a title; the second one names the first tensor of another shape.
        reason = " ".join(str(error).splitlines()[:2])
        raise UserError(f"{source} does not fit the backbone: {reason}") from error
    # BN's counter of batches is younger than some files, and without effect on the result.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    problems = [_listed("missing", missing), _listed("unexpected", unexpected)]
    if any(problems):
        raise UserError(
            f"{source} does not fit the backbone ({'; '.join(filter(None, problems))}): "
            "give weights of the same architecture"
        )


def _listed(title: str, keys: list[str]) -> str:
    if not keys:
        return ""
    rest = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
    return f"{title} {', '.join(keys[:_LISTED])}{rest}"
