"""What NVIDIA's driver says about itself and its GPUs, without torch or packages of CUDA.

As a program it lists the GPUs as `nvidia-smi -L` does, for containers that have the driver without
that command.
"""

import ctypes
import uuid
from dataclasses import dataclass, field

SUCCESS, NO_DEVICE = 0, 100
"""CUresult: CUDA_SUCCESS, CUDA_ERROR_NO_DEVICE."""

_MAJOR, _MINOR = 75, 76
"""CUdevice_attribute: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


@dataclass(frozen=True)
class Driver:
    """The driver as this process sees it, within CUDA_VISIBLE_DEVICES.

    Attributes:
        status: CUresult of its start.
        version: The newest CUDA it supports, e.g. 12040 for 12.4; 0 if it does not start.
        capabilities: Compute capability of each GPU, e.g. (9, 0).
        uuids: Of each GPU, as nvidia-smi writes them.
    """

    status: int
    version: int = 0
    capabilities: list[tuple[int, int]] = field(default_factory=list)
    uuids: list[str] = field(default_factory=list)


def read_driver() -> Driver | None:
    """Start the driver and ask it; None where there is none."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    status = library.cuInit(0)
    version = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    if status != SUCCESS:
        return Driver(status, version.value)
    driver, count = Driver(status, version.value), ctypes.c_int()
    library.cuDeviceGetCount(ctypes.byref(count))
    for number in range(count.value):
        device, value = ctypes.c_int(), ctypes.c_int()
        library.cuDeviceGet(ctypes.byref(device), number)
        capability = []
        for attribute in (_MAJOR, _MINOR):
            library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
            capability.append(value.value)
        driver.capabilities.append((capability[0], capability[1]))
        identity = (ctypes.c_ubyte * 16)()
        library.cuDeviceGetUuid(identity, device)
        driver.uuids.append(f"GPU-{uuid.UUID(bytes=bytes(identity))}")
    return driver


def main() -> None:
    """List the GPUs."""
    driver = read_driver()
    for number, name in enumerate(driver.uuids if driver else []):
        print(f"GPU {number}: (UUID: {name})")


if __name__ == "__main__":
    main()
