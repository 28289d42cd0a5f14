"""A digest of the source code that a job's numbers depend on: an edit reruns what it affects.

The closure of a script's imports within this package is read from the source, without importing it.
Left out is what changes no number: comments, docstrings, annotations, log lines and the wording of
errors; and the packages in `NEUTRAL`.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

NEUTRAL = ("tsn.config", "tsn.runtime")
"""What the configuration says reaches a job through its parameters; the rest of these packages
starts jobs, shows progress and names files, but for `COMPUTES`."""

COMPUTES = "tsn.runtime.lanes"
"""What the kernels for a CPU are written with."""

_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def code_digest(script: Path) -> str:
    """Digest of what a script and the modules of this package that it imports compute.

    Args:
        script: a Python file that imports modules of `tsn`.

    Returns:
        16 hexadecimal digits.
    """
    known: dict[str, str] = {}
    pending = sorted(_imports(_parse(script)))
    while pending:
        module = pending.pop()
        if module not in known and not _is_neutral(module):
            imports, known[module] = _read(_file(module))
            pending += sorted(imports)
    text = "\n".join(f"{module} {known[module]}" for module in sorted(known))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_neutral(module: str) -> bool:
    return module != COMPUTES and f"{module}.".startswith(tuple(f"{name}." for name in NEUTRAL))


@cache
def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _is_module(name: str) -> bool:
    return name.startswith("tsn.") and _file(name).is_file()


def _imports(tree: ast.Module) -> frozenset[str]:
    """Modules of this package that a file imports, or names in a text to run them by name."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return frozenset(name for name in found if _is_module(name))


@cache
def _read(path: Path) -> tuple[frozenset[str], str]:
    """The imports of a module, and the digest of what it computes."""
    tree = _parse(path)
    imports = _imports(tree)
    parts = [ast.dump(_OnlyNumbers().visit(tree))]
    if path.name == "__init__.py":
        parts += [_without_comments(data) for data in _data(path.parent)]
    else:
        package = _file(".".join(["tsn", *path.parent.relative_to(PACKAGE).parts]))
        parts.append(_read(package)[1] if package != path else "")
    return imports, hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _data(package: Path) -> Iterator[Path]:
    """Kernels and templates that lie in folders of a package."""
    for folder in sorted(package.iterdir()):
        if folder.is_dir() and not (folder / "__init__.py").exists() and folder.name[0] not in "_.":
            yield from sorted(file for file in folder.iterdir() if file.is_file())


def _without_comments(data: Path) -> str:
    text = data.read_text(encoding="utf-8")
    return " ".join(_COMMENTS.sub(" ", text).split()) if data.suffix == ".cu" else text


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


class _OnlyNumbers(ast.NodeTransformer):
    """Removes what changes no number."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """A docstring, or the call of a logger."""
        call = node.value.func if isinstance(node.value, ast.Call) else None
        is_log = (
            isinstance(call, ast.Attribute)
            and isinstance(call.value, ast.Name)
            and call.value.id in ("logger", "warnings")
        )
        return ast.Pass() if is_log or isinstance(node.value, ast.Constant) else node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """The kind of an error counts, its words do not."""
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=error, cause=None)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """An argument without its annotation."""
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """A variable without its annotation."""
        node.annotation = ast.Constant(None)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function without the annotation of its result."""
        node.returns = None
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        """Imports for type checkers only."""
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return ast.Pass()
        return self.generic_visit(node)
