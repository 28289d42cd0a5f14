"""Whether the GPU engine can run here, found out without importing torch."""

import runpy
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def why_unavailable() -> str | None:
    """Return why the engine cannot run here, or None if it can."""
    torch = find_spec("torch")
    if torch is None:
        return "torch is not installed"
    # Torch says so in a file that imports nothing; importing torch takes seconds.
    version = runpy.run_path(str(Path(torch.origin).with_name("version.py")))
    if not version.get("cuda"):
        return "the installed torch was built without CUDA"
    try:
        from cuda.bindings import driver
    except ImportError:
        return "the package cuda-bindings, which comes with torch, is not installed"
    try:
        status, count = driver.cuInit(0)[0], 0
        if not status.value:
            status, count = driver.cuDeviceGetCount()
    except RuntimeError:
        return "there is no NVIDIA driver here"
    if status.value or not count:
        return f"there is no NVIDIA GPU here ({status.name})"
    return None
