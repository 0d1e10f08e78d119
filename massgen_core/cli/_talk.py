"""A turn of an agent, told while it happens."""

from __future__ import annotations

import importlib
import shlex
import sys
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from massgen_core.cli import _screen
from massgen_core.cli._events import HANDLE, short
from massgen_core.errors import InvalidArgument, SessionNotFound
from massgen_core.events import MessageAppended, TextDelta, TurnFinished, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.agents import Agent, Function
    from massgen_core.app import App
    from massgen_core.cli._state import Cli
    from massgen_core.events import Event
    from massgen_core.sessions import Session, SessionStore

_TITLE: Final = 60


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of a turn.

    Attributes:
        said: What the user said; None if an earlier turn was finished.
        text: The answer.
        steps: Model calls.
        usage: What they used; see `Usage`.
    """

    said: str | None
    text: str
    steps: int
    usage: Usage


class Talk:
    """An agent on an open session; prints what it says, and tells of what happens."""

    def __init__(
        self, cli: Cli, app: App, agent: Agent, session: Session, *, path: Path | None
    ) -> None:
        self.session = session
        self._cli = cli
        self._app = app
        self._agent = agent
        self._printed = ""
        self._spinner = ExitStack()
        cli.events = []
        where = "" if path is None else f" --path {shlex.quote(str(path))}"
        cli.advice = f"Go on with: mgc run --resume --session {session.id}{where}"
        cli.restore = f"mgc context restore {session.id} {HANDLE}{where}"

    async def turn(self, said: str | None) -> Turn:
        """One turn; without an envelope the answer goes to standard output as it arrives."""
        done = TurnFinished("", 0, Usage(0, 0))
        self._printed = ""
        self._wait()
        try:
            async with aclosing(self._app.run(self._agent, self.session, said)) as events:
                async for event in events:
                    self._take(event)
                    if isinstance(event, TurnFinished):
                        done = event
            if not self._printed:  # it was answered before, and nothing is left to do
                self._print(done.text)
        finally:
            self._spinner.close()
            self._end_line()
        return Turn(said, done.text, done.steps, done.usage)

    def _take(self, event: Event) -> None:
        self._spinner.close()
        if isinstance(event, TextDelta):
            self._print(event.text)
            return
        if isinstance(event, MessageAppended) or self._cli.speaks(event):
            self._end_line()
        self._cli.event(event)
        self._wait()

    def _wait(self) -> None:
        self._spinner.close()
        self._spinner.enter_context(self._cli.busy("Waiting for the model …"))

    def _print(self, text: str) -> None:
        if not self._cli.options.json and text:
            _screen.write(_screen.plain(text) if sys.stdout.isatty() else text)
            self._printed = text

    def _end_line(self) -> None:
        if self._printed and not self._printed.endswith("\n"):
            self._print("\n")


async def open_session(
    store: SessionStore, agent: Agent, session_id: str | None, *, said: str | None
) -> Session:
    """The session to write to: a new one if it has no id or is not there and something is said.

    Raises:
        SessionNotFound: There is none, and nothing is said to begin one.
    """
    counter = agent.engine.counter
    title = "" if said is None else short(said)[:_TITLE]
    if session_id is None:
        return await store.create(title=title)
    try:
        return await store.open_session(
            session_id, count=lambda message: (counter.count(message).tokens, counter.name)
        )
    except SessionNotFound:
        if said is None:
            raise
        return await store.create(session_id, title=title)


def load_tools(names: Sequence[str]) -> list[Function]:
    """The functions that ``module:function`` names; modules of the current folder are found, too.

    Raises:
        InvalidArgument: There is no such module or function.
    """
    here = str(Path.cwd())
    if names and here not in sys.path:
        sys.path.insert(0, here)
    return [_tool(name) for name in names]


def _tool(name: str) -> Function:
    module, _, function = name.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as exc:
        raise InvalidArgument(
            f"--tool {name!r} cannot be loaded: {exc}", hint="Write --tool module:function."
        ) from exc
    if not callable(found):
        raise InvalidArgument(f"--tool {name!r} is {type(found).__name__}, not a function")
    return found
