"""Prints how long functions and modules are and where everything is caught, beside what others do.

Exits with 1 if a module or a function is too long, or if everything is caught where no fence is.
"""

from __future__ import annotations

import ast
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODULE = 400
"""Lines a module may have."""
FUNCTION = 60
"""Lines a function may have, its docstring counted."""

FENCES = {
    "massgen_core/agents/_tools.py Tool.run": "an agent's task: a tool may raise anything",
    "massgen_core/cli/_fence.py _told": "the main function of the command line",
    "massgen_core/context/_bounded.py Running.run": "strategies: what one raises in its thread",
    "massgen_core/context/_bounded.py _produce": "strategies: what makes their texts",
    "massgen_core/context/_engine.py _is_due": "strategies: what says that one is due",
    "massgen_core/memory/_guard.py guarded": "plugins of memory: they cost no memory",
    "massgen_core/plugin/_fence.py Fence.__exit__": "the plugin loader, and observers",
    "massgen_core/storage/_writer.py _Outcome.__exit__": "a write's caller, who waits "
    "in another thread, is told",
    "massgen_core/testing/_store_use_suite.py "
    "StoreUseSuite.test_many_threads_use_it_at_once.work": "a test: told in its own thread",
    "plugins/massgen-chroma/src/massgen_chroma/failures.py translating": "Chroma's Rust part "
    "raises a PanicException, which is no Exception; what is not Chroma's is raised again",
}
"""Where everything is caught, and why."""

BROAD = {"Exception", "BaseException"}
EXITS = {"__exit__", "__aexit__"}
Place = ast.stmt | ast.expr | ast.excepthandler


@dataclass(frozen=True, slots=True)
class Peer:
    """A code base held up as a model; lengths in lines, as measured when the style was set."""

    name: str
    median: int | None
    p95: int
    longest: int
    broad: int
    handlers: int


PEERS = (
    Peer("svcs", 10, 40, 95, 4, 19),
    Peer("httpx", 9, 47, 133, 10, 55),
    Peer("starlette", 5, 39, 149, 7, 51),
    Peer("tox", 6, 33, 219, 18, 142),
    Peer("pluggy", None, 50, 93, 7, 15),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A module, and its functions with their qualified names."""

    path: Path
    lines: int
    tree: ast.Module
    functions: tuple[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef], ...]


def sources() -> list[Source]:
    roots = [Path("massgen_core"), *Path("plugins").glob("*/src")]
    paths = sorted(path for root in roots for path in root.rglob("*.py"))
    return [parsed(path, path.read_text("utf-8")) for path in paths]


def parsed(path: Path, text: str) -> Source:
    tree = ast.parse(text)
    return Source(path, len(text.splitlines()), tree, tuple(functions(tree)))


def functions(
    node: ast.AST, outer: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{outer}.{child.name}".removeprefix(".")
            if not isinstance(child, ast.ClassDef):
                yield name, child
            yield from functions(child, name)
        else:
            yield from functions(child, outer)


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def names_all(node: ast.expr | None) -> bool:
    """Whether these exceptions are all there are, or all but those that end the program."""
    if isinstance(node, ast.Tuple):
        return any(map(names_all, node.elts))
    return node is None or (isinstance(node, ast.Name) and node.id in BROAD)


def catches_all(node: ast.AST) -> bool:
    """Whether it is a broad handler, or the same by another name."""
    match node:
        case ast.ExceptHandler(type=kind):
            return names_all(kind)
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=args):
            return any(map(names_all, args))
        case ast.FunctionDef(name=name, returns=ast.Name(id="bool")):
            return name in EXITS
        case ast.AsyncFunctionDef(name=name, returns=ast.Name(id="bool")):
            return name in EXITS
    return False


def places(source: Source) -> list[tuple[str, int]]:
    """Where everything is caught: the fence's name if it is one, and the line."""
    nodes = (node for node in ast.walk(source.tree) if isinstance(node, Place))
    found = [node for node in nodes if catches_all(node)]
    return [(f"{source.path.as_posix()} {home(source, node)}", node.lineno) for node in found]


def home(source: Source, node: ast.AST) -> str:
    """The qualified name of the innermost function a node is in, or is."""
    within = (name for name, each in source.functions if node in set(ast.walk(each)))
    return max(within, key=len, default="")


def handlers(source: Source) -> list[bool]:
    """For each handler whether it is broad."""
    found = [node for node in ast.walk(source.tree) if isinstance(node, ast.ExceptHandler)]
    return [names_all(node.type) for node in found]


def faults(found: list[Source], fences: Mapping[str, str]) -> Iterator[str]:
    """What breaks the rules, a line each."""
    for source in found:
        if source.lines > MODULE:
            yield f"{source.path}: {source.lines} lines, at most {MODULE}"
        for name, node in source.functions:
            if length(node) > FUNCTION:
                where = f"{source.path}:{node.lineno} {name}"
                yield f"{where}: {length(node)} lines, at most {FUNCTION}"
    caught = [(place, line) for source in found for place, line in places(source)]
    for place, line in caught:
        if place not in fences:
            yield f"{place}: catches everything in line {line}, and is not in FENCES"
    for fence in sorted(fences.keys() - {place for place, _ in caught}):
        yield f"{fence}: is in FENCES, and catches nothing"


def row(name: str, *cells: object) -> str:
    return f"{name:<14}" + "".join(f"{cell:>9}" for cell in cells)


def table(found: list[Source]) -> Iterator[str]:
    """Our figures above those of others."""
    sizes = sorted(length(node) for source in found for _, node in source.functions)
    broad = [each for source in found for each in handlers(source)]
    yield row("", "median", "p95", "longest", "broad", "of all")
    median, p95 = statistics.median(sizes), sizes[int(len(sizes) * 0.95)]
    yield row("this tree", f"{median:.0f}", p95, sizes[-1], sum(broad), len(broad))
    for peer in PEERS:
        cells = (peer.p95, peer.longest, peer.broad, peer.handlers)
        yield row(peer.name, "-" if peer.median is None else peer.median, *cells)


def main() -> int:
    found = sources()
    count = sum(len(source.functions) for source in found)
    longest = max(found, key=lambda source: source.lines)
    print(f"{count} functions; {len(found)} modules, the longest {longest.path} ({longest.lines})")
    print("Lines of functions, docstrings counted; handlers of exceptions:")
    print(*table(found), sep="\n")
    print("Fences, where everything is caught:")
    print(*(f"  {place}: {why}" for place, why in FENCES.items()), sep="\n")
    wrong = list(faults(found, FENCES))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
