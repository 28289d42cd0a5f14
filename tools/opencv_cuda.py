"""Build the wheel opencv-contrib-python with CUDA from its PyPI source and install it.

`make opencv-cuda` runs this; docs/opencv-cuda.md tells what it needs and how long it takes.
Everything but the C++ compiler comes from PyPI: the source, CMake, Ninja, nvcc and NVIDIA's
libraries. The standard library is enough to run it.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
from pathlib import Path

SOURCE = "opencv-contrib-python==4.14.0.94"
"""The last OpenCV 4: its contrib modules hold the CUDA TV-L1."""

NPP = "nvidia-npp==13.0.3.3"
"""Image primitives that cv2's CUDA modules link to; the wheel finds it beside itself."""

TOOLKIT = (
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.0.85",
    "nvidia-cuda-culibos==13.0.85",
    "nvidia-cuda-profiler-api==13.0.85",
    "nvidia-nvtx==13.0.85",
    NPP,
)
"""One release of the CUDA toolkit, in the parts that OpenCV compiles against."""

TOOLS = ("cmake==3.31.6", "ninja==1.13.0")
"""CMake 4 has no FindCUDA module, which OpenCV 4 looks for first."""

MODULES = (
    "core,imgproc,imgcodecs,flann,features2d,calib3d,video,ximgproc,optflow,cudev,cudaarithm,"
    "cudawarping,cudaimgproc,cudafilters,cudaoptflow,python3"
)
"""What this project uses of cv2, and what that depends on."""

OFF = (
    *("CUFFT", "CUBLAS", "CUDNN", "NVCUVID", "NVCUVENC"),
    *("FFMPEG", "GSTREAMER", "V4L", "1394", "GTK", "QT", "VTK"),
    *("TIFF", "WEBP", "OPENEXR", "OPENJPEG", "JASPER", "AVIF"),
    *("IPP", "OPENCL", "EIGEN", "LAPACK", "PROTOBUF", "ADE"),
)
"""Parts that need a library, a download or time, and that nothing here uses."""

BUNDLED = ("JPEG", "PNG", "ZLIB")
"""Codecs compiled from OpenCV's own copy, as in the wheel on PyPI, not taken from the machine."""


class BuildError(Exception):
    """Why the wheel cannot be built, and what to do about it."""


def main() -> None:
    """Build, install, check; end with one sentence where that cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where to build: about 3 GB")
    parser.add_argument("--python", type=Path, required=True, help="Python to install it for")
    parser.add_argument("--arch", default="", help="compute capabilities, such as 8.6 or 8.6,9.0")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    try:
        wheel = build(options.folder.resolve(), options.arch, options.jobs)
        install(wheel, options.python)
        print(check(options.python, Path(__file__).resolve().parents[1] / "tsn"))
    except BuildError as error:
        sys.exit(f"opencv-cuda: {error}")
    except KeyboardInterrupt:
        sys.exit("opencv-cuda: interrupted; the same command goes on from here")


def build(folder: Path, arch: str, jobs: int) -> Path:
    """Build the wheel in a folder, going on from what is there already, and return its path."""
    if not sys.platform.startswith("linux"):
        raise BuildError(f"NVIDIA's packages are for Linux, this is {sys.platform}")
    if shlex.quote(str(folder)) != str(folder):
        # CMake's rules for CUDA hand paths to shells and to nvcc, which take them apart.
        raise BuildError(
            f"OpenCV is not built in {folder}, whose name means something to a shell; name another "
            "folder, as in: make opencv-cuda FOLDER=/tmp/opencv"
        )
    find_compiler()
    capabilities = parse_capabilities(arch) if arch else ask_capabilities()
    folder.mkdir(parents=True, exist_ok=True)
    source = fetch_source(folder)
    python = make_environment(folder, source)
    toolkit = complete_toolkit(folder)
    check_capabilities(capabilities, toolkit)
    return compile_wheel(folder, source, python, toolkit, capabilities, jobs)


def find_compiler() -> str:
    """Return the C++ compiler that CMake will take."""
    wanted = os.environ.get("CXX")
    for name in [wanted] if wanted else ["c++", "g++"]:
        if found := shutil.which(name):
            return found
    raise BuildError(
        f"there is no C++ compiler ({wanted or 'c++ or g++'}): install one, such as Debian's and "
        "Ubuntu's package g++, or name it in CXX"
    )


def parse_capabilities(text: str) -> list[str]:
    """Return compute capabilities: "8.6, 9.0" gives ["8.6", "9.0"]."""
    found = sorted(set(re.split(r"[,;\s]+", text.strip(" ,;\n"))))
    for item in found:
        if not re.fullmatch(r"\d{1,2}\.\d", item):
            raise BuildError(f"{item!r} is no compute capability: write ARCH=8.6 or ARCH=8.6,9.0")
    return found


def ask_capabilities() -> list[str]:
    """Return the compute capabilities of this machine's GPUs."""
    override = "name the GPU's compute capability yourself, as in: make opencv-cuda ARCH=9.0"
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"nvidia-smi does not run here ({error}): {override}") from None
    if answer.returncode:
        reason = (answer.stdout + answer.stderr).strip() or f"exit status {answer.returncode}"
        raise BuildError(f"nvidia-smi finds no GPU ({reason}): {override}")
    return parse_capabilities(answer.stdout)


def fetch_source(folder: Path) -> Path:
    """Download and unpack OpenCV's source; return its folder."""
    package, version = SOURCE.split("==")
    name = f"{package.replace('-', '_')}-{version}"
    source = folder / name
    if source.is_dir():
        return source
    pip(
        Path(sys.executable),
        *("download", "--no-deps", "--no-binary", package, "--dest", str(folder), SOURCE),
    )
    partial = folder / "unpacking"
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(folder / f"{name}.tar.gz") as archive:
        archive.extractall(partial, filter="data")
    (partial / name).rename(source)
    partial.rmdir()
    return source


def make_environment(folder: Path, source: Path) -> Path:
    """Make a Python environment with the tools and the toolkit; return its Python."""
    root = folder / "environment"
    python = root / "bin" / "python"
    if not python.exists():
        venv.create(root, with_pip=True)
    needed = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["build-system"][
        "requires"
    ]
    pip(python, "install", *needed, *TOOLS, *TOOLKIT)
    return python


def complete_toolkit(folder: Path) -> Path:
    """Give NVIDIA's packages the layout of an installed CUDA toolkit; return its folder."""
    (toolkit,) = (folder / "environment").glob("lib/python3*/site-packages/nvidia/cu13")
    libraries = toolkit / "lib"
    for library in libraries.glob("lib*.so.*"):
        link(library.with_name(library.name.split(".so.")[0] + ".so"), library.name)
    link(toolkit / "lib64", "lib")
    return toolkit


def link(path: Path, target: str) -> None:
    """Make a symbolic link unless it is there."""
    if not path.is_symlink():
        path.symlink_to(target)


def check_capabilities(capabilities: list[str], toolkit: Path) -> None:
    """Refuse what nvcc cannot compile for, before an hour has gone into it."""
    nvcc = toolkit / "bin" / "nvcc"
    try:
        answer = subprocess.run(
            [nvcc, "--list-gpu-code"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(
            f"nvcc does not run ({error}): remove {toolkit.parents[4]} and try again"
        ) from None
    known = [f"{code[:-1]}.{code[-1]}" for code in re.findall(r"sm_(\d+)\b", answer.stdout)]
    for capability in capabilities:
        if capability not in known:
            raise BuildError(
                f"{TOOLKIT[0]} cannot compile for compute capability {capability}: it knows "
                f"{', '.join(known)}; use flow.backend native on this GPU"
            )


def compile_wheel(
    folder: Path, source: Path, python: Path, toolkit: Path, capabilities: list[str], jobs: int
) -> Path:
    """Configure and compile; return the wheel."""
    environment = {
        **os.environ,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "CMAKE_ARGS": shlex.join(cmake_arguments(toolkit, capabilities)),
        "CMAKE_GENERATOR": "Ninja",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
        "ENABLE_CONTRIB": "1",
    }
    wheels, log = folder / "wheels", folder / "build.log"
    command = [
        *(str(python), "-m", "pip", "wheel", "--verbose", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", str(wheels), str(source)),
    ]
    print(f"compiling for {', '.join(capabilities)} with {jobs} jobs; details: {log}", flush=True)
    with (
        log.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process,
    ):
        for line in process.stdout:
            file.write(line)
            file.flush()
            if step := re.search(r"\[(\d+)/(\d+)\]", line):
                print(f"\rstep {step[1]} of {step[2]}", end="", flush=True)
    print()
    if process.returncode:
        raise BuildError(
            f"the build failed: see the first error in {log}; the same command goes on from there"
        )
    return max(wheels.glob("*.whl"), key=lambda wheel: wheel.stat().st_mtime)


def cmake_arguments(toolkit: Path, capabilities: list[str]) -> list[str]:
    """Return what is set besides the defaults of the source package."""
    return [
        "-DWITH_CUDA=ON",
        f"-DCUDA_TOOLKIT_ROOT_DIR={toolkit}",
        f"-DCUDA_ARCH_BIN={';'.join(capabilities)}",
        "-DCUDA_ARCH_PTX=",
        f"-DBUILD_LIST={MODULES}",
        # The source package looks for this very word to know which files it will get.
        "-DPYTHON3_LIMITED_API=ON",
        "-DCMAKE_INSTALL_RPATH=$ORIGIN/../nvidia/cu13/lib",
        *(f"-DWITH_{name}=OFF" for name in OFF),
        *(f"-DBUILD_{name}=ON" for name in BUNDLED),
    ]


def install(wheel: Path, python: Path) -> None:
    """Install the wheel in place of the OpenCV that is there, and NPP beside it."""
    pip(python, "install", "--no-deps", NPP)
    pip(python, "install", "--no-deps", "--force-reinstall", str(wheel))


def check(python: Path, package: Path) -> str:
    """Return what the installed cv2 says of GPUs; raise if it lacks what a package uses of it."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))]
    used = {name for text in sources for name in re.findall(r"\bcv2\.((?:\w+\.)?\w+)", text)}
    program = (
        "import sys, functools, cv2\n"
        "lacking = []\n"
        "for name in sys.argv[1:]:\n"
        "    try: functools.reduce(getattr, name.split('.'), cv2)\n"
        "    except AttributeError: lacking.append(name)\n"
        "if lacking: sys.exit('it lacks ' + ', '.join(lacking))\n"
        "print(cv2.__version__, 'finds', max(0, cv2.cuda.getCudaEnabledDeviceCount()), 'GPUs')\n"
    )
    names = sorted(name for name in used if not name.startswith("__version__."))
    answer = subprocess.run([python, "-c", program, *names], capture_output=True, text=True)
    if answer.returncode:
        raise BuildError(
            f"the new OpenCV does not work ({answer.stderr.strip().splitlines()[-1]}): to get the "
            f"old one back, run: {python} -m pip install --requirement requirements.lock"
        )
    return f"OpenCV {answer.stdout.strip()}"


def pip(python: Path, *arguments: str) -> None:
    """Run pip; it shows what it does."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    if subprocess.run(command).returncode:
        raise BuildError(
            f"pip failed, its words are above; if it found no package index, this machine has no "
            f"network: {shlex.join(command)}"
        )


if __name__ == "__main__":
    main()
