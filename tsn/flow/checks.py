"""What TV-L1 is given, checked and brought to the form the engines take."""

from typing import Any

import numpy as np


def check_frames(name: str, value: Any, on_gpu: bool = False) -> Any:
    """Return frames as C-contiguous uint8 or float32 (N, H, W).

    Args:
        name: What the caller calls them, for messages.
        value: Frames (N, H, W), uint8 or floating point; a NumPy array or a torch tensor.
        on_gpu: Whether tensors on a GPU are taken; they are returned as tensors, anything else as a
            NumPy array.

    Raises:
        ValueError: Wrong type, shape, device or value; the message tells which.
    """
    frames = _as_array(name, value, on_gpu)
    if frames.ndim != 3:
        raise ValueError(
            f"{name} must have 3 dimensions (frames, height, width), not shape "
            f"{tuple(frames.shape)}"
        )
    if 0 in frames.shape:
        raise ValueError(f"{name} must not be empty, but has shape {tuple(frames.shape)}")
    return _check_values(name, frames, bytes_too=True)


def check_flow(name: str, value: Any, frames: tuple[int, int, int], on_gpu: bool = False) -> Any:
    """Return flow as C-contiguous float32 (N, 2, H, W) for frames of shape (N, H, W).

    Arguments and errors as in `check_frames`.
    """
    flow = _as_array(name, value, on_gpu)
    expected = (frames[0], 2, *frames[1:])
    if tuple(flow.shape) != expected:
        raise ValueError(f"{name} must have shape {expected}, not {tuple(flow.shape)}")
    return _check_values(name, flow, bytes_too=False)


def like(model: Any, result: Any) -> Any:
    """Return a result as a tensor if the model is one."""
    if isinstance(result, np.ndarray) and is_tensor(model):
        import torch

        return torch.from_numpy(result)
    return result


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor, without importing torch."""
    return hasattr(value, "detach")


def _as_array(name: str, value: Any, on_gpu: bool) -> Any:
    """Return an array, or a tensor on a GPU where that is taken."""
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


def _check_values(name: str, values: Any, bytes_too: bool) -> Any:
    kind = str(values.dtype).removeprefix("torch.")
    if bytes_too and kind == "uint8":
        return values.contiguous() if is_tensor(values) else np.ascontiguousarray(values)
    if not kind.startswith("float"):
        raise ValueError(f"{name} must be uint8 or floating point, not {kind}")
    # Values that float32 cannot hold become inf, which is refused below.
    if is_tensor(values):
        values = values.float().contiguous()
        finite = bool(values.isfinite().all())
    else:
        with np.errstate(over="ignore"):
            values = np.ascontiguousarray(values, dtype=np.float32)
        finite = bool(np.isfinite(values).all())
    if not finite:
        raise ValueError(f"{name} contains NaN or infinite values: replace them first")
    return values
