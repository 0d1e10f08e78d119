"""Two hundred streams at once, every fifth of them meets a fault: none hangs, none leaks."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections import Counter

import pytest

from massgen_core.backends import Accounted, Accounts, Endpoints, Policy, Request
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import BackendError
from massgen_core.events import Finished, TextDelta
from massgen_core.messages import user
from massgen_core.plugin import PluginContext
from massgen_core.scaffold import write_plugin
from massgen_core.testing import FAULTS, mock_provider
from massgen_core.testing._sockets import open_sockets
from massgen_core.tokens import ModelCatalogue

STREAMS = 200
SHARE = 5
KINDS = [name for name, fault in FAULTS.items() if "openai" in fault.wires]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The backend that `mgc plugins new` writes."""
    folder = tmp_path_factory.mktemp("template")
    write_plugin("backend", "many", folder)
    sys.path.insert(0, str(folder / "massgen-many" / "src"))
    try:
        yield importlib.import_module("massgen_many.backend")
    finally:
        sys.path.pop(0)


def backend_at(template, url):
    context = PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())
    return template.ManyBackend(template.Settings(base_url=url), context)


async def one(backend, number):
    """How the stream ended: the reason, or the error's name."""
    request = Request("mock", (user(f"Count from 1 to 300. This is talk {number}."),), (), 30)
    events = []
    try:
        async for event in backend.stream(request):
            events.append(event)  # noqa: PERF401 - what came before an error counts
    except BackendError as exc:
        return type(exc).__name__
    assert isinstance(events[-1], Finished)
    assert any(isinstance(event, TextDelta) for event in events)
    return events[-1].reason


async def all_of(backend):
    async with asyncio.timeout(50):
        ends = await asyncio.gather(*(one(backend, number) for number in range(STREAMS)))
    assert {asyncio.current_task()} == asyncio.all_tasks()
    await backend.aclose()
    return Counter(ends)


@pytest.mark.parametrize("attempts", [1, 4])
def test_each_stream_ends_in_an_answer_or_a_typed_error(template, attempts):
    policy = Policy(attempts=attempts, most_wait=0.05, deadline=40, idle=10, failures=0)
    accounts = Accounts()
    with mock_provider(pace=0) as provider:
        for number in range(STREAMS // SHARE):
            name = KINDS[number % len(KINDS)]
            more = {"retry_after": 0.2} if name == "rate_limit" else {}
            provider.inject(name, **more)
        before = open_sockets()
        wrapped = Endpoints().wrap(backend_at(template, provider.openai), policy, "mock")
        ends = asyncio.run(all_of(Accounted(wrapped, accounts, lambda model: None)))
        assert open_sockets() <= before
    assert STREAMS == ends.total()
    answered = ends["length"]
    assert answered >= STREAMS - STREAMS // SHARE
    assert {"length", "Transient"} <= ends.keys()
    if attempts == 1:
        assert {"AuthFailed", "RateLimited", "InvalidRequest", "ContextOverflow"} <= ends.keys()
        assert answered < STREAMS - STREAMS // SHARE // 2  # two faults may meet one request
    else:
        assert "RateLimited" not in ends
    [account] = accounts.all()
    assert answered <= account.requests
    assert answered == account.requests - account.unreported
