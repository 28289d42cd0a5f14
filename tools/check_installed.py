"""Check an installed `tsn`: every file is there, every module imports, every command starts.

    cd /somewhere/else && python path/to/tools/check_installed.py

with the Python that the package is installed for.
"""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import tsn

SOURCE = Path(__file__).resolve().parents[1] / "tsn"
OPTIONAL = ("timm",)
"""Extras: the modules that use them need not import without."""


def main() -> None:
    """Exit with a sentence at the first thing that is wrong."""
    installed = Path(tsn.__file__).resolve().parent
    if installed == SOURCE:
        sys.exit(f"this is the source and not an installed package: {SOURCE}")
    if missing := _files(SOURCE) - _files(installed):
        sys.exit(f"not in the package: {', '.join(sorted(missing))}")
    modules = [module.name for module in pkgutil.walk_packages(tsn.__path__, "tsn.")]
    programs = {name for name in modules if _is_program(installed, name)}
    for name in modules:
        if name not in programs:
            _import(name)
    commands = sorted(name.removesuffix(".__main__") for name in programs)
    for name in commands:
        done = subprocess.run([sys.executable, "-m", name, "--help"], capture_output=True)
        if done.returncode or b"usage" not in done.stdout:
            sys.exit(f"python -m {name} --help fails:\n{done.stderr.decode(errors='replace')}")
    print(f"{len(modules)} modules; commands: {', '.join(commands)}")


def _files(package: Path) -> set[str]:
    found = (path.relative_to(package) for path in package.rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts}


def _is_program(package: Path, module: str) -> bool:
    """Whether a module is a command: it reads arguments when it is run."""
    path = package.joinpath(*module.split(".")[1:]).with_suffix(".py")
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return "__main__" in text and "Parser(" in text


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            sys.exit(f"{name} does not import: {error}")


if __name__ == "__main__":
    main()
