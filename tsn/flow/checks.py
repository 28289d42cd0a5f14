"""Validation of frames, and their conversion to the form that flow engines take."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import torch

    Array: TypeAlias = np.ndarray | torch.Tensor

_OVERSHOOT = 128
"""Grey levels by which floating-point frames may leave 0..255: interpolation overshoots less."""


def check_frames(name: str, value: "Array", on_gpu: bool = False) -> Any:
    """Return frames as C-contiguous uint8 or float32 (N, H, W).

    Args:
        name: The argument's name, for messages.
        value: Frames (N, H, W), uint8 or floating point on the 0..255 scale; a NumPy array or a
            torch tensor.
        on_gpu: Whether tensors on a GPU are accepted; they are returned as tensors, anything else
            as a NumPy array.

    Raises:
        ValueError: Wrong type, shape, device, value or scale; the message names it.
    """
    frames = as_array(name, value, on_gpu)
    if frames.ndim != 3:
        raise ValueError(
            f"{name} must have 3 dimensions (frames, height, width), not shape "
            f"{tuple(frames.shape)}"
        )
    if 0 in frames.shape:
        raise ValueError(f"{name} must not be empty, but has shape {tuple(frames.shape)}")
    # NumPy's name of a type, unlike its text, says nothing of the order of bytes.
    kind = getattr(frames.dtype, "name", str(frames.dtype).removeprefix("torch."))
    if kind == "uint8":
        return frames.contiguous() if is_tensor(frames) else np.ascontiguousarray(frames)
    if not kind.startswith("float"):
        raise ValueError(f"{name} must be uint8 or floating point, not {kind}")
    # Values that float32 cannot hold become inf, which is refused below.
    if is_tensor(frames):
        frames = frames.float().contiguous()
    else:
        with np.errstate(over="ignore"):
            frames = np.ascontiguousarray(frames, dtype=np.float32)
    _check_scale(name, float(frames.min()), float(frames.max()))
    return frames


def as_type_of(reference: "Array", array: Any) -> Any:
    """Convert an array to a torch tensor if the reference is one."""
    if isinstance(array, np.ndarray) and is_tensor(reference):
        import torch

        return torch.from_numpy(array)
    return array


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor, without importing torch."""
    return hasattr(value, "detach")


def as_array(name: str, value: Any, on_gpu: bool = False) -> Any:
    """Return a NumPy array, or a tensor on a GPU where that is accepted."""
    if is_tensor(value):
        value = value.detach()
        if str(value.dtype) == "torch.bfloat16":
            # The one floating type that NumPy lacks.
            value = value.float()
        if value.device.type == "cuda" and on_gpu:
            return value
        if value.device.type != "cpu":
            raise ValueError(f"{name} lies on {value.device}: move it to the CPU first")
        return value.numpy()
    if not isinstance(value, np.ndarray):
        raise ValueError(
            f"{name} must be a NumPy array or a torch tensor, not {type(value).__name__}"
        )
    return value


def _check_scale(name: str, lowest: float, highest: float) -> None:
    """Refuse floating-point frames that are not on the scale of bytes.

    Frames scaled to 0..1 have next to no flow, because the data term weighs grey levels.
    """
    # NaN propagates through min and max.
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise ValueError(f"{name} contains NaN or infinite values: replace them first")
    if 0 < max(abs(lowest), abs(highest)) <= 1:
        raise ValueError(
            f"{name} reaches from {lowest:.3g} to {highest:.3g}: floating-point frames must be on "
            "the 0..255 scale; multiply frames of 0..1 by 255"
        )
    if lowest < -_OVERSHOOT or highest > 255 + _OVERSHOOT:
        raise ValueError(
            f"{name} reaches from {lowest:.3g} to {highest:.3g}: floating-point frames must be on "
            "the 0..255 scale; rescale them"
        )
