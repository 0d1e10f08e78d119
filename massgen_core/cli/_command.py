"""Makes a typer command of a function that takes a `Cli` and returns a `Reply`."""

import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import typer

from massgen_core.cli._fence import guarded
from massgen_core.cli._options import options
from massgen_core.cli._reply import Reply
from massgen_core.cli._state import Cli, Options

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = tuple(inspect.signature(options).parameters.values())
_CONTEXT = inspect.Parameter(
    "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
)


def command(
    app: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Cli, P], Reply]], Callable[Concatenate[Cli, P], Reply]]:
    """Adds a function to `app` under `name`, with the global options, inside the fence.

    The function's first parameter is the `Cli`; the others are its own arguments and options.
    """

    def register(
        function: Callable[Concatenate[Cli, P], Reply],
    ) -> Callable[Concatenate[Cli, P], Reply]:
        def invoke(ctx: typer.Context, **given: Any) -> int:
            cli: Cli = ctx.obj
            cli.options = take_options(given).over(cli.before)
            cli.command = " ".join(ctx.command_path.split()[1:])
            return guarded(cli, lambda: cli.answer(function(cli, **given)))  # type: ignore[call-arg]  # typer passes what the signature says

        own = list(inspect.signature(function).parameters.values())[1:]
        app.command(name, help=inspect.getdoc(function))(shaped(invoke, own))
        return function

    return register


def shaped(function: F, own: list[inspect.Parameter]) -> F:
    """The function with a signature typer can read: a context, `own`, the global options."""
    parameters = [_CONTEXT, *own, *_OPTIONS]
    keyword = inspect.Parameter.KEYWORD_ONLY
    signature = inspect.Signature([one.replace(kind=keyword) for one in parameters])
    function.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature reads
    function.__annotations__ = {one.name: one.annotation for one in parameters}
    return function


def take_options(given: dict[str, Any]) -> Options:
    """The global options among what was given, taken out of it."""
    return options(**{one.name: given.pop(one.name) for one in _OPTIONS})
