"""The GPU engine on a CPU: its kernels, compiled for it, run thread by thread."""

import os
import shutil
from collections.abc import Callable

import pytest

from tests.flow.cuda.emulator import EmulatedLauncher, compile_for_cpu
from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cuda.cuda_engine import CudaEngine

Emulate = Callable[..., CudaEngine]


@pytest.fixture(scope="session")
def emulated_launcher(tmp_path_factory) -> Callable[..., EmulatedLauncher]:
    """A function that makes a launcher for 2 or 3 components; each is compiled once."""
    compiler = next(filter(shutil.which, ("c++", "g++", "clang++")), None)
    if compiler is None:
        # CI installs one, and must not go on without.
        assert not os.environ.get("CI"), "the CUDA kernels' tests need a C++ compiler"
        pytest.skip("needs a C++ compiler, such as g++, to run the CUDA kernels on a CPU")
    libraries = {}

    def launcher(components: int, variant: str = "opencv") -> EmulatedLauncher:
        key = components, variant
        if key not in libraries:
            libraries[key] = compile_for_cpu(compiler, *key, tmp_path_factory.mktemp("kernels"))
        return EmulatedLauncher(libraries[key])

    return launcher


@pytest.fixture
def emulate(emulated_launcher) -> Emulate:
    """A function that makes the engine, for parameters and a batch size."""

    def make(params: TVL1Params, batch: int | None = None) -> CudaEngine:
        launcher = emulated_launcher(3 if params.gamma else 2, params.variant)
        return CudaEngine(params, launcher, batch)

    return make
