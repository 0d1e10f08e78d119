import asyncio
import json
from itertools import repeat

import pytest

from massgen_core.backends import Request
from massgen_core.errors import ContextOverflow, Fatal, MalformedHistory, Transient
from massgen_core.events import Finished, TextDelta, ToolCalled, Usage
from massgen_core.messages import ToolCall, assistant, user
from massgen_core.testing import Answer, BackendSuite, ScriptedBackend

ONE = "one two three four five six seven eight nine ten"


def _weather(request):
    if request.tools:
        return Answer(calls=(ToolCall("c1", "weather", json.dumps({"city": "Paris"})),))
    return Answer(ONE, delay=0.01)


class TestScripted(BackendSuite):
    model = "scripted"
    capabilities = frozenset({"count_tokens", "tools"})

    def make(self):
        return ScriptedBackend(repeat(_weather), window=512)


class TestScriptedWithoutTools(BackendSuite):
    model = "scripted"
    capabilities = frozenset({"count_tokens"})

    def make(self):
        return ScriptedBackend(repeat(Answer(ONE, delay=0.01)), window=512, tools=False)


def _ask(backend, text="Hi", **request):
    async def main():
        stream = backend.stream(Request("scripted", (user(text),), **request))
        return [event async for event in stream]

    return asyncio.run(main())


def test_answers_come_in_the_order_of_the_script():
    backend = ScriptedBackend(["a", Answer("b", (ToolCall("c", "f"),), usage=Usage(7, 2))])
    assert TextDelta("a") == _ask(backend)[0]
    assert [
        TextDelta("b"),
        ToolCalled(ToolCall("c", "f")),
        Usage(7, 2),
        Finished("tool_calls", "scripted"),
    ] == _ask(backend)
    assert ["Hi", "Hi"] == [request.messages[0].text for request in backend.requests]


def test_a_script_that_ran_out_is_an_error():
    with pytest.raises(Fatal, match="no answer left"):
        _ask(ScriptedBackend())


def test_an_error_comes_after_the_text_of_its_answer():
    async def main():
        seen = []
        backend = ScriptedBackend([Answer("half an", error=Transient("dropped"))])
        stream = backend.stream(Request("scripted", (user("Hi"),)))
        seen += [await anext(stream), await anext(stream)]
        with pytest.raises(Transient):
            await anext(stream)
        return seen

    assert [TextDelta("half "), TextDelta("an")] == asyncio.run(main())


def test_an_overflow_does_not_move_the_script_on():
    backend = ScriptedBackend(["fits"], window=60)
    with pytest.raises(ContextOverflow) as raised:
        _ask(backend, "word " * 100)
    assert 60 == raised.value.limit
    assert raised.value.used > 60
    assert TextDelta("fits") == _ask(backend)[0]
    assert (1, 1) == (backend.refused, len(backend.requests))


def test_an_answer_ends_at_the_window():
    events = _ask(ScriptedBackend(["word " * 100], window=60))
    assert Finished("length", "scripted") == events[-1]
    usage = events[-2]
    assert usage.prompt + usage.completion <= 60


def test_a_strict_backend_refuses_what_a_provider_refuses_and_the_script_waits():
    backend = ScriptedBackend(["ok"], strict="anthropic")
    said = [user("Hi"), assistant("", ToolCall("c", "f")), user("Well?")]

    async def send(messages):
        return [event async for event in backend.stream(Request("scripted", tuple(messages)))]

    with pytest.raises(MalformedHistory, match="message 1: the call 'c' has no result"):
        asyncio.run(send(said))
    assert TextDelta("ok") == asyncio.run(send(said[:1]))[0]
    assert (1, 1) == (backend.refused, len(backend.requests))
    assert "anthropic" == asyncio.run(backend.caps("scripted")).rules
    assert "openai" == asyncio.run(ScriptedBackend().caps("scripted")).rules
