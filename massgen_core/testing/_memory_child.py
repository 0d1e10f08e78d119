"""What the fault suite of memory stores runs in processes of their own, which may be killed.

Usage: ``python -c PROGRAM JSON`` with the file and the name of the subclass of the suite, the name
of a task below, and the task's arguments. What a task tells are lines of JSON on standard output.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import MassgenError
from massgen_core.testing._memory_model import ADA, Model, ask, faults, recover

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from massgen_core.testing._memory_store_faults import MemoryStoreFaultSuite

PROGRAM: Final = """
import json, sys
given = json.loads(sys.argv[1])
sys.path[:] = given["path"]
from massgen_core.testing._memory_child import main
main(given)
"""

_ROUNDS: Final = 40
"""Batches after which a full disk must have been noticed."""


def main(given: dict[str, Any]) -> None:
    """Makes the subclass of the suite, and runs the task for it."""
    name = "massgen_store_under_test"
    spec = importlib.util.spec_from_file_location(name, given["file"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    suite = getattr(module, given["suite"])()
    asyncio.run(_TASKS[given["task"]](suite, **given["arguments"]))


def history(dimensions: int, many: int) -> Model:
    """The same history in every process: puts, an update and a removal in each ten."""
    model = Model(dimensions)
    for start in range(0, many, 10):
        model.fill(10, start=start)
        model.put(f"r{start}", f"memory number{start} changed")
        model.remove(f"r{start + 1}")
    return model


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - the answer to the process that asked


async def _write(suite: MemoryStoreFaultSuite, folder: str, many: int, *, close: bool) -> None:
    """Applies a history in batches of three; says so after each."""
    model = history(suite.dimensions, many)
    store = suite.store(Path(folder))
    await store.watermark()
    _say(applied=0)
    for start in range(0, len(model.log), 3):
        batch = model.log[start : start + 3]
        await store.apply(batch)
        _say(applied=batch[-1].seq)
    if close:
        await store.close()


async def _recover(suite: MemoryStoreFaultSuite, folders: list[str], many: int) -> None:
    """Opens each folder as the core does, and tells what is wrong then."""
    model = history(suite.dimensions, many)
    for folder in folders:
        _say(begun=folder)
        _say(folder=folder, **await _recovered(suite, Path(folder), model))


async def _recovered(suite: MemoryStoreFaultSuite, folder: Path, model: Model) -> dict[str, object]:
    async with suite.opened(folder) as store:
        before = await store.health()
        await recover(store, model.log)
        after = await store.health()
        wrong = await faults(store, model)
        if not after.ok:
            wrong.append(f"it still is not well: {after.detail}")
        if await store.watermark() != model.seq:
            wrong.append(f"its watermark is {await store.watermark()}, not {model.seq}")
        return {"wrong": wrong, "health": before.ok, "detail": before.detail}


async def _use(suite: MemoryStoreFaultSuite, folder: str) -> None:
    """Opens a folder that another process has open; says whether it was refused."""
    change = history(suite.dimensions, 10).log[2]  # one of those that stay as they were put
    store = suite.store(Path(folder))
    try:
        if not (await store.health()).ok:
            _say(refused="health")
            return
        hits = await ask(store, change, ADA)
        await store.apply([])
    except MassgenError as exc:
        _say(refused=type(exc).__name__)
    else:
        _say(refused="", hits=[hit.record_id for hit in hits])
    finally:
        await store.close()


async def _fill(suite: MemoryStoreFaultSuite, folder: str, room: int) -> None:
    """Writes until no file may grow any more, then lets it grow again, and recovers."""
    model, home = Model(suite.dimensions), Path(folder)
    async with suite.opened(home) as store:
        await store.apply(model.fill(20))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (_largest(home) + room, hard))
        error = ""
        for start in range(20, 20 + 20 * _ROUNDS, 20):
            try:
                await store.apply(model.fill(20, start=start))
            except MassgenError as exc:
                error = type(exc).__name__
                break
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        _say(error=error)
        await recover(store, model.log)
        wrong = await faults(store, model)
    async with suite.opened(home) as store:
        await recover(store, model.log)
        wrong += await faults(store, model)
    _say(wrong=wrong)


def _largest(home: Path) -> int:
    return max((path.stat().st_size for path in home.rglob("*") if path.is_file()), default=0)


_TASKS: Final[dict[str, Callable[..., Coroutine[Any, Any, None]]]] = {
    "write": _write,
    "recover": _recover,
    "use": _use,
    "fill": _fill,
}


def argument(suite: MemoryStoreFaultSuite, task: str, arguments: dict[str, Any]) -> str:
    """What `PROGRAM` is given."""
    cls = type(suite)
    file = os.fspath(Path(sys.modules[cls.__module__].__file__ or ""))
    return json.dumps(
        {
            "path": sys.path,
            "file": file,
            "suite": cls.__qualname__,
            "task": task,
            "arguments": arguments,
        }
    )
