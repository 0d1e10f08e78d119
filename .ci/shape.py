"""Prints how long functions and modules are and where `except Exception` stands; no gate."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

BROAD = {"Exception", "BaseException"}


def sources() -> list[Path]:
    roots = [Path("massgen_core"), *Path("plugins").glob("*/src")]
    return sorted(path for root in roots for path in root.rglob("*.py"))


def functions(path: Path, tree: ast.Module) -> list[tuple[int, str]]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return [
        ((node.end_lineno or 0) - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
        for node in nodes
    ]


def broad_handlers(path: Path, tree: ast.Module) -> list[str]:
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    return [
        f"{path}:{node.lineno}"
        for node in handlers
        if node.type is None or (isinstance(node.type, ast.Name) and node.type.id in BROAD)
    ]


def main() -> None:
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sources()}
    lengths = sorted(found for path, tree in trees.items() for found in functions(path, tree))
    modules = sorted((len(path.read_text("utf-8").splitlines()), str(path)) for path in trees)
    broad = [place for path, tree in trees.items() for place in broad_handlers(path, tree)]
    sizes = [size for size, _ in lengths]
    print(
        f"{len(sizes)} functions: median {statistics.median(sizes):.0f} lines,"
        f" p95 {sizes[int(len(sizes) * 0.95)]}, longest {lengths[-1][0]} ({lengths[-1][1]})"
    )
    print(f"{len(modules)} modules: longest {modules[-1][0]} lines ({modules[-1][1]})")
    print(f"{len(broad)} broad handlers: {', '.join(broad) or 'none'}")


if __name__ == "__main__":
    main()
