"""The order of the packages: each imports only those below it, and no two in a circle."""

import ast
import graphlib
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "tsn"

# Lowest first; docs/how-it-works.md says what each is for.
PACKAGES = (
    "runtime",
    "video",
    "models",
    "config",
    "datasets",
    "shards",
    "data",
    "flow",
    "training",
    "evaluation",
    "report",
    "predict",
    "serve",
)
COMMANDS = ("convert", "export", "features", "index", "localise", "status", "verify")
"""Modules on top of the packages; nothing imports them."""

COMES_WITH = {
    "llvmlite": "numba",
    "markupsafe": "jinja2",
    "pydantic-core": "pydantic",
    "cuda-bindings": "torch",
}
"""Distributions that are a part of another."""

RANK = {name: rank for rank, name in enumerate((*PACKAGES, *COMMANDS))}


@cache
def all_imports() -> dict[str, set[str]]:
    """All modules that each module of `tsn` imports, at the top or later, to run."""
    files = {_name(path): path for path in PACKAGE.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        found = set()
        for node in ast.walk(_WithoutTypes().visit(ast.parse(path.read_text(encoding="utf-8")))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: relative import, line {node.lineno}"
                # `from package import module` imports the module; a name in it does not.
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {name if name in files else node.module for name in names}
        graph[module] = found - {"tsn"}
    return graph


def imports() -> dict[str, set[str]]:
    """The modules of `tsn` that each of its modules imports."""
    return {module: found & all_imports().keys() for module, found in all_imports().items()}


class _WithoutTypes(ast.NodeTransformer):
    """Removes imports that only type checkers follow."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        is_for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if is_for_types else self.generic_visit(node)


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_package_has_its_place_in_the_order():
    there = {module.split(".")[1] for module in imports() if "." in module}
    assert there == RANK.keys()


def test_no_package_imports_one_above_it():
    upwards = [
        f"{module} imports {imported}"
        for module, found in imports().items()
        for imported in found
        if "." in module and RANK[imported.split(".")[1]] > RANK[module.split(".")[1]]
    ]
    assert upwards == []


def test_nothing_imports_a_command():
    assert not {
        (module, imported)
        for module, found in imports().items()
        for imported in found
        if imported.split(".")[1] in COMMANDS
    }


def test_no_module_imports_in_a_circle():
    # Raises CycleError with the modules of the circle.
    list(graphlib.TopologicalSorter(imports()).static_order())


def test_no_module_imports_snakemake():
    users = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any("snakemake" in a.name for a in node.names))
        or (isinstance(node, ast.ImportFrom) and "snakemake" in (node.module or ""))
    ]
    assert users == []


def test_everything_imported_is_declared():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    declared = {
        re.match(r"[\w-]+", requirement)[0] for requirement in sum(extras, project["dependencies"])
    }
    modules = {name.split(".")[0] for found in all_imports().values() for name in found}
    modules -= {"tsn", *sys.stdlib_module_names}
    distributions = packages_distributions()
    undeclared = set()
    for module in modules:
        # What is not installed is an extra, which is named like its module.
        owner = distributions.get(module, [module])[0].lower().replace("_", "-")
        if COMES_WITH.get(owner, owner) not in declared:
            undeclared.add(f"{module} of {owner}")
    assert undeclared == set()
