"""Tools: Python functions a model may call, described by their type hints and docstring."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from pydantic import PydanticUserError, TypeAdapter, ValidationError, validate_call
from pydantic_core import to_json

from massgen_core.agents._docstring import described
from massgen_core.errors import InvalidArgument
from massgen_core.messages import Text, ToolCall, ToolResult, ToolSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_core.messages import JSONValue

Function: TypeAlias = Callable[..., Any]

_MOST_PROBLEMS: Final = 5


@dataclass(frozen=True, slots=True)
class Tool:
    """A function as a tool.

    Attributes:
        spec: What the model is told of it.
        function: What runs: a plain function in a thread, a coroutine function on the loop. A
            thread cannot be stopped: once cancelled it runs to its end and its result is dropped.
            What it returns is told as text, or as JSON; a `ToolResult` says more: pictures, or a
            failure in its own words.
    """

    spec: ToolSpec
    function: Function

    @classmethod
    def of(cls, function: Function, *, name: str = "", description: str = "") -> Tool:
        """The tool of a function.

        Its schema comes from the type hints, its descriptions from the docstring (``Args:`` too).

        Args:
            function: A plain function or a coroutine function; its arguments can be passed by name.
            name: What the model calls it; the function's name if omitted.
            description: What it does and when to use it; the docstring if omitted.

        Raises:
            InvalidArgument: No schema can be made of its arguments.
        """
        title = name or getattr(function, "__name__", "")
        text, arguments = described(inspect.getdoc(function))
        return cls(
            ToolSpec(title, description or text, _schema(function, title, arguments)), function
        )

    async def run(self, call: ToolCall) -> ToolResult:
        """The result of one call; whatever goes wrong becomes an error result for the model."""
        try:
            arguments = _arguments(call.arguments)
            value = await self._call(arguments)
            if inspect.isawaitable(value):  # of a decorator that hides an async function
                value = await value
            if isinstance(value, ToolResult):
                return replace(value, call_id=call.id, name=self.spec.name)
            return self._result(call, _as_text(value))
        except ValidationError as exc:
            return self._result(call, f"Error: invalid arguments: {_problems(exc)}", is_error=True)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return self._result(call, "Error: the tool was cancelled", is_error=True)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - the agent task boundary: a tool may raise anything
            return self._result(call, f"Error: {_said(exc)}", is_error=True)

    async def _call(self, arguments: Mapping[str, Any]) -> object:
        checked = validate_call(self.function)
        if inspect.iscoroutinefunction(self.function):
            return await checked(**arguments)
        return await asyncio.to_thread(_ended, partial(checked, **arguments))

    def _result(self, call: ToolCall, text: str, *, is_error: bool = False) -> ToolResult:
        return ToolResult(call.id, (Text(text),), self.spec.name, is_error)


class ToolProvider(Protocol):
    """A source of tools whose number is known only at run time: the tools of a server, say."""

    async def tools(self) -> Sequence[Tool]:
        """The tools, asked for when an agent is made.

        Raises:
            ToolSourceError: They cannot be had.
        """
        ...

    async def aclose(self) -> None:
        """End what runs for the tools. May be called twice."""
        ...


def tool_table(tools: Sequence[Tool | Function]) -> dict[str, Tool]:
    """The tools by name.

    Raises:
        InvalidArgument: Two have one name, or one cannot be described.
    """
    table: dict[str, Tool] = {}
    for item in tools:
        tool = item if isinstance(item, Tool) else Tool.of(item)
        if tool.spec.name in table:
            raise InvalidArgument(
                f"two tools are called {tool.spec.name!r}",
                hint="Give one of them another name: Tool.of(function, name=...).",
            )
        table[tool.spec.name] = tool
    return table


def _schema(function: Function, name: str, arguments: Mapping[str, str]) -> dict[str, JSONValue]:
    if not name.isidentifier():
        raise InvalidArgument(
            f"a tool needs a name, {function!r} has none",
            hint="Write a def, or pass Tool.of(function, name=...).",
        )
    try:
        schema = TypeAdapter(_typed(function)).json_schema()
    except (PydanticUserError, NameError, TypeError) as exc:
        raise InvalidArgument(
            f"no schema can be made of the arguments of tool {name!r}: {_first_line(exc)}",
            hint="Use type hints that JSON can express: str, int, float, bool, list, dict, "
            "Literal, dataclasses, pydantic models.",
        ) from exc
    if schema.get("type") != "object":
        raise InvalidArgument(
            f"tool {name!r} has arguments without names",
            hint="A model passes arguments by name: no positional-only arguments, no *args.",
        )
    for key, field in schema.get("properties", {}).items():
        field.pop("title", None)  # the key again, in capitals: tokens for nothing
        if key in arguments:
            field.setdefault("description", arguments[key])
    return schema


def _typed(function: Function) -> Any:
    return (
        function  # pydantic makes a schema of a function's arguments, but its stub asks for a type
    )


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise ValueError(f"the arguments are not valid JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise TypeError(f"the arguments must be a JSON object, not {type(value).__name__}")
    return value


def _ended(work: Callable[[], object]) -> object:
    """What `work` returns; a StopIteration, which no future can hold, is another error."""
    try:
        return work()
    except StopIteration as exc:
        raise RuntimeError("the tool raised StopIteration") from exc


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else to_json(value, fallback=str).decode()


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False)
    lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found[:_MOST_PROBLEMS]]
    return "; ".join(lines)


def _said(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, ValueError | TypeError) and text.startswith("the arguments"):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
