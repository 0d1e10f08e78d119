"""One run of the program: its global options, what happened, and how it is told."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_core.cli import _screen
from massgen_core.cli._events import HANDLE, lines
from massgen_core.cli._reply import Reply, envelope, error_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from rich.console import RenderableType

    from massgen_core.app import App
    from massgen_core.events import Event
    from massgen_core.plugin import PluginHost


@dataclass(frozen=True, slots=True)
class Options:
    """What every command takes.

    Attributes:
        json: Whether standard output is one envelope.
        verbosity: 0 is normal, -1 only errors, 1 and 2 more.
        overrides: ``key=value`` settings.
        profile: The settings profile.
        config: The settings file.
    """

    json: bool = False
    verbosity: int = 0
    overrides: tuple[str, ...] = ()
    profile: str | None = None
    config: Path | None = None

    def over(self, other: Options) -> Options:
        """These, and where they are silent the other's."""
        return replace(
            self,
            json=self.json or other.json,
            verbosity=self.verbosity or other.verbosity,
            overrides=other.overrides + self.overrides,
            profile=self.profile or other.profile,
            config=self.config or other.config,
        )


class Cli:
    """What commands are given.

    Attributes:
        options: The global options.
        before: Those that stood before the command.
        command: The command's name in full, e.g. ``session list``.
        events: What happened, for the envelope; None until something is recorded.
        advice: What to say after Ctrl-C.
        restore: The command that gives back what a fit took out, with `HANDLE` in it.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.before = Options()
        self.command = ""
        self.events: list[Event] | None = None
        self.advice = ""
        self.restore = HANDLE

    def app(self, path: Path | None = None) -> App:
        """The app of the settings; logging is set up as they say.

        Raises:
            SettingsError: The settings cannot be used.
            PluginError: A selected plugin cannot be used.
        """
        from massgen_core.app import App  # noqa: PLC0415 - what `--help` must not load
        from massgen_core.logs import configure_logging  # noqa: PLC0415

        options = self.options
        app = App.load(
            overrides=options.overrides, profile=options.profile, file=options.config, path=path
        )
        log = app.settings.log
        level = "debug" if options.verbosity > 1 else log.level
        configure_logging("error" if options.verbosity < 0 else level, log.format)
        for warning in app.host.warnings():
            self.note(warning)
        return app

    def plugins(self) -> PluginHost:
        """The plugins; of the settings only what concerns them is read.

        Raises:
            SettingsError: The ``plugins`` section cannot be used.
        """
        from massgen_core.app import host_of  # noqa: PLC0415 - what `--help` must not load
        from massgen_core.settings import read_names  # noqa: PLC0415

        options = self.options
        names = read_names(
            overrides=options.overrides, profile=options.profile, file=options.config
        )
        return host_of(replace(names, plugins=names.plugins.model_copy(update={"strict": False})))

    def note(self, text: str) -> None:
        """A line for people, unless they want quiet."""
        if self.options.verbosity >= 0:
            _screen.note(text)

    def tell(self, thing: Callable[[], RenderableType]) -> None:
        """A table or the like for people, unless they want quiet."""
        if self.options.verbosity >= 0:
            _screen.show(thing(), error=True)

    def event(self, event: Event) -> None:
        """Tells people of an event, and keeps it for the envelope."""
        if self.events is not None and not event.kind.endswith("_delta"):
            self.events.append(event)
        for line in lines(event, restore=self.restore, verbose=self.options.verbosity > 0):
            self.note(line)

    def speaks(self, event: Event) -> bool:
        """Whether people are told of the event."""
        return (
            bool(lines(event, verbose=self.options.verbosity > 0)) and self.options.verbosity >= 0
        )

    def busy(self, words: str) -> AbstractContextManager[None]:
        """A spinner for what may take long."""
        return nullcontext() if self.options.verbosity < 0 else _screen.spinner(words)

    def answer(self, reply: Reply) -> int:
        """Prints the answer; returns the exit code."""
        if self.options.json:
            error = None if reply.error is None else error_to_json(reply.error)
            _screen.write(
                envelope(self.command, data=reply.data, error=error, events=self.events) + "\n"
            )
        elif isinstance(reply.text, str):
            _screen.write(reply.text)
        elif reply.text is not None:
            _screen.show(reply.text())
        if reply.error is not None and not self.options.json:
            self.complain(reply.error.message, reply.error.hint)
        return reply.code

    def fail(self, message: str, hint: str = "", *, error: Mapping[str, Any] | None = None) -> None:
        """Prints an error, for people and with ``--json`` as the envelope.

        Args:
            message: What happened.
            hint: What to do about it.
            error: What the envelope says of it, if it has more to say.
        """
        if self.options.json:
            problem = {"code": "unexpected", "message": message, "hint": hint} | dict(error or {})
            _screen.write(envelope(self.command, error=problem, events=self.events) + "\n")
        self.complain(message, hint)

    def complain(self, message: str, hint: str = "") -> None:
        """An error for people."""
        _screen.note(f"error: {message}", style="red")
        for line in hint.splitlines():
            _screen.note(f"  {line}")
