"""``mgc run`` and ``mgc chat``: an agent at work on a session."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_core.cli._command import command
from massgen_core.cli._input import STDIN, read_text
from massgen_core.cli._options import DatabasePath
from massgen_core.cli._reply import Reply, to_json
from massgen_core.cli._screen import note
from massgen_core.cli._state import Cli
from massgen_core.errors import InvalidArgument

if TYPE_CHECKING:
    from massgen_core.app import App
    from massgen_core.cli._talk import Talk, Turn


@dataclass(frozen=True, slots=True)
class _Wishes:
    """How the agent shall be, where the settings are not followed."""

    instructions: str | None
    tools: Sequence[str]
    max_steps: int | None
    path: Path | None
    record: Path | None = None
    replay: Path | None = None

    def app(self, cli: Cli) -> "App":
        """The app of the settings; its backends are recorded, or replayed."""
        if self.record is not None and self.replay is not None:
            raise InvalidArgument("--record and --replay exclude each other")
        app = cli.app(self.path)
        if self.record is not None:
            app.providers.record(self.record)
        if self.replay is not None:
            app.providers.replay(self.replay)
        return app

    async def talk(self, cli: Cli, app: "App", session: str | None, said: str | None) -> "Talk":
        """The agent on its session; both are closed with the app."""
        from massgen_core.cli._talk import Talk, load_tools, open_session

        store = await app.store()
        agent = await app.agent(
            tools=load_tools(self.tools),
            instructions=self.instructions,
            max_steps=self.max_steps,
        )
        opened = await open_session(store, agent, session, said=said)
        if session is None:
            cli.note(f"session {opened.id}")
        return Talk(cli, app, agent, opened, path=self.path)


Instructions = Annotated[
    str | None, typer.Option(help="The agent's system message; agent.instructions if omitted.")
]
Tools = Annotated[
    list[str] | None,
    typer.Option("--tool", metavar="MODULE:FUNCTION", help="What the model may call; repeatable."),
]
MaxSteps = Annotated[
    int | None,
    typer.Option(help="Model calls in one turn; agent.max_steps if omitted.", min=1),
]
Record = Annotated[
    Path | None,
    typer.Option(help="File that gets what the backend was asked and answered, without keys."),
]
Replay = Annotated[
    Path | None, typer.Option(help="Recording that answers in place of the backend.")
]
SessionId = Annotated[
    str | None, typer.Option("--session", help="Session to write to; a new one if omitted.")
]


def add_to(app: typer.Typer) -> None:
    """Adds both commands."""
    command(app, "run")(run)
    command(app, "chat")(chat)


def run(
    cli: Cli,
    task: Annotated[
        str | None, typer.Argument(help="What to do; - reads it from standard input.")
    ] = None,
    session: SessionId = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a session that was interrupted.")
    ] = False,
    *,
    instructions: Instructions = None,
    tool: Tools = None,
    max_steps: MaxSteps = None,
    record: Record = None,
    replay: Replay = None,
    path: DatabasePath = None,
) -> Reply:
    """Works on one task with the backend of the settings.

    The answer goes to standard output as it arrives; what happens, each fit of the context above
    all, to standard error. Every step is on disk before it is acted on: after a crash,
    `mgc run --resume --session ID` goes on.
    """
    if resume == (task is not None):
        raise InvalidArgument(
            "give either a task or --resume", hint="mgc run TASK, or mgc run --resume --session ID"
        )
    if resume and session is None:
        raise InvalidArgument("--resume needs --session ID", hint="`mgc session list` shows ids.")
    said = read_text(Path(STDIN)).strip() if task == STDIN else task
    if said is not None and not said.strip():
        raise InvalidArgument("the task is empty", hint="Say what to do.")
    import asyncio

    wishes = _Wishes(instructions, tool or (), max_steps, path, record, replay)
    return asyncio.run(_run(cli, wishes.app(cli), session, said, wishes))


async def _run(
    cli: Cli, app: "App", session: str | None, said: str | None, wishes: _Wishes
) -> Reply:
    async with app:
        talk = await wishes.talk(cli, app, session, said)
        turn = await talk.turn(said)
        accounts = app.providers.accounts.all()
    _tell_degraded(cli, app)
    return Reply({"session": talk.session.id, **to_json(turn), "accounts": accounts})


def _tell_degraded(cli: Cli, app: "App") -> None:
    """What plugins of memory could not do beside the turns, e.g. while the app was closed."""
    for event in app.degraded:
        cli.event(event)


def chat(
    cli: Cli,
    session: SessionId = None,
    instructions: Instructions = None,
    tool: Tools = None,
    max_steps: MaxSteps = None,
    record: Record = None,
    replay: Replay = None,
    path: DatabasePath = None,
) -> Reply:
    """Talks with the model line by line, until the end of the input.

    Off a terminal each line of standard input is one turn.
    """
    import asyncio

    wishes = _Wishes(instructions, tool or (), max_steps, path, record, replay)
    app = wishes.app(cli)
    turns: list[Turn] = []
    with asyncio.Runner() as runner:  # it does not run while a line is awaited: Ctrl-C is prompt
        try:
            talk = runner.run(wishes.talk(cli, app, session, ""))
            turns.extend(runner.run(talk.turn(said)) for said in _lines())
        finally:
            runner.run(app.aclose())
    accounts = app.providers.accounts.all()
    _tell_degraded(cli, app)
    return Reply({"session": talk.session.id, "turns": turns, "accounts": accounts})


def _lines() -> Iterator[str]:
    """What the user says; blank lines are no turns."""
    terminal = sys.stdin.isatty()
    lines = _typed() if terminal else iter(sys.stdin)
    for line in lines:
        if line.strip():
            yield line.strip()


def _typed() -> Iterator[str]:
    with suppress(ImportError):
        import readline  # noqa: F401 - gives `input` editing and a history
    with suppress(EOFError):
        while True:
            yield input("> ")
    note("")
