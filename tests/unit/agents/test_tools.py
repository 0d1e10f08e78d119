import asyncio
import json
import sys
import threading
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.agents import Tool
from massgen_core.errors import InvalidArgument
from massgen_core.messages import Image, Text, ToolCall, ToolResult


@dataclass
class Point:
    x: int
    y: int = 0


def move(point: Point, steps: int, direction: Literal["up", "down"] = "up") -> dict:
    """Move a point.

    It moves straight.

    Args:
        point: Where it is.
        steps (int): How far,
            in whole steps.

    Returns:
        Where it is then.
    """
    return {"point": point, "steps": steps, "direction": direction}


def call(function, arguments, **options):
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return asyncio.run(Tool.of(function, **options).run(ToolCall("c1", "f", text)))


def test_a_function_is_described_by_its_hints_and_docstring():
    spec = Tool.of(move).spec
    assert ("move", "Move a point.\n\nIt moves straight.") == (spec.name, spec.description)
    properties = spec.parameters["properties"]
    assert "Where it is." == properties["point"]["description"]
    assert {"type": "integer", "description": "How far, in whole steps."} == properties["steps"]
    assert ["up", "down"] == properties["direction"]["enum"]
    assert ["point", "steps"] == spec.parameters["required"]
    assert "object" == spec.parameters["type"]


def test_arguments_are_validated_and_the_result_is_json():
    result = call(move, {"point": {"x": 1}, "steps": "2"})
    assert not result.is_error
    assert {"point": {"x": 1, "y": 0}, "steps": 2, "direction": "up"} == json.loads(result.text)


def test_text_is_passed_on_as_it_is():
    def hello(name: str) -> str:
        return f'"{name}"'

    assert '"Zoë"' == call(hello, {"name": "Zoë"}).text


def test_a_coroutine_function_is_awaited_on_the_loop():
    async def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert "true" == call(where, "{}").text


def test_a_plain_function_runs_in_a_thread():
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert "false" == call(where, "{}").text


def _raises(kind: str) -> None:
    if kind == "value":
        raise ValueError("out of range")
    if kind == "bare":
        raise RuntimeError
    if kind == "recursion":
        _raises(kind)
    raise KeyError(kind)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{", "Error: the arguments are not valid JSON"),
        ("[1]", "Error: the arguments must be a JSON object, not list"),
        ("[" * 100_000, "Error: RecursionError"),
        ({}, "Error: invalid arguments: kind: Missing required argument"),
        ({"kind": 3}, "Error: invalid arguments: kind: Input should be a valid string"),
        ({"kind": "x", "extra": 1}, "Error: invalid arguments: extra: Unexpected keyword argument"),
        ({"kind": "value"}, "Error: ValueError: out of range"),
        ({"kind": "bare"}, "Error: RuntimeError"),
        ({"kind": "recursion"}, "Error: RecursionError"),
        ({"kind": "other"}, "Error: KeyError: 'other'"),
    ],
)
def test_what_goes_wrong_is_told_to_the_model(arguments, said):
    result = call(_raises, arguments)
    assert result.is_error
    assert result.text.startswith(said)
    assert "Traceback" not in result.text


def test_a_tool_can_end_or_hang_nothing_but_itself():
    def stops():
        return next(iter(()))

    def exits():
        sys.exit("bye")

    def hidden():
        return late()

    async def late():
        return "late"

    async def exits_later():
        sys.exit(3)

    assert "Error: RuntimeError: the tool raised StopIteration" == call(stops, {}).text
    assert "Error: SystemExit: bye" == call(exits, {}).text
    assert "Error: SystemExit: 3" == call(exits_later, {}).text
    assert "late" == call(hidden, {}).text


def test_arguments_that_were_cut_are_no_arguments():
    assert call(lambda x=1: x, "", name="f").is_error


def test_a_result_json_cannot_express_is_told_as_text():
    def odd() -> object:
        return {"at": threading.Lock}

    assert "lock" in call(odd, "{}").text


def test_a_tool_that_cancels_itself_is_an_error_of_the_tool():
    async def quits() -> None:
        raise asyncio.CancelledError

    assert "Error: the tool was cancelled" == call(quits, "{}").text


def test_cancelling_the_caller_cancels_the_tool():
    seen = []

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("stopped")

    async def main():
        task = asyncio.create_task(Tool.of(waits).run(ToolCall("c", "waits")))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
    assert ["stopped"] == seen


def test_what_cannot_be_a_tool_is_refused_with_the_reason():
    def positional(x, /):
        return x

    def untyped(x: threading.Lock):
        return x

    for function, said in [
        (positional, "without names"),
        (untyped, "no schema"),
        (lambda: 1, "needs a name"),
    ]:
        with pytest.raises(InvalidArgument, match=said):
            Tool.of(function)


def test_a_lambda_can_be_named():
    assert "3" == call(lambda: 3, "{}", name="three").text


@given(st.text())
def test_any_argument_text_gets_a_result(text):
    result = call(_raises, text)
    assert result.is_error
    assert "c1" == result.call_id


def test_a_result_says_more_than_text():
    shown = (Text("Here"), Image("image/png", b"x"))
    result = call(lambda: ToolResult("", shown, is_error=True), {}, name="show")
    assert ToolResult("c1", shown, "show", is_error=True) == result
