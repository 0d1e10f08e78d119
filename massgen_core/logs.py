"""Logs: lines for people on a terminal, JSON lines elsewhere; never a secret.

The engine and its plugins log through the standard library's loggers or through `logger`; both end
in the one handler that `configure_logging` sets up. A program that uses the engine as a library and
never calls it keeps its own logging untouched.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from massgen_core._redact import STARS, redacted

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from structlog.stdlib import BoundLogger
    from structlog.typing import Processor

Level = Literal["debug", "info", "warning", "error", "critical"]
Format = Literal["auto", "human", "json"]

_OURS: Final = "massgen"
"""Loggers whose name starts so follow the configured level; others are heard from warnings up."""

_KEPT: Final = frozenset({"_record", "_from_structlog", "exc_info", "event"})
_CREDENTIAL: Final = re.compile(r"(\bbearer\s+|\bsk-)[\w.~+/=-]{16,}", re.IGNORECASE)


class _Handler(logging.StreamHandler[TextIO]):
    """Our handler: there is at most one, and it can be told from those of others."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with stars over credentials in the text of a message or an exception."""
        return _CREDENTIAL.sub(rf"\1{STARS}", super().format(record))


def configure_logging(
    level: Level = "info",
    format: Format = "auto",  # noqa: A002 -- the name of the setting
    stream: TextIO | None = None,
) -> None:
    """Sends all logs to one stream; calling it again replaces what the last call set up.

    Loggers of the engine and its plugins are heard from `level` up, those of other libraries from
    warnings up. Lines carry a UTC time, the level, the logger, and what `bound` has bound.

    Args:
        level: Least severe level of our own loggers.
        format: ``human``, ``json``, or ``auto``: human if the stream is a terminal.
        stream: Where lines go; standard error if None. Data is never written to it.
    """
    import structlog  # noqa: PLC0415 -- only programs that log pay for it

    stream = sys.stderr if stream is None else stream
    handler = _Handler(stream)
    handler.addFilter(_Threshold(level))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_common(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(stream, format),
            ],
        )
    )
    root = logging.getLogger()
    for old in [found for found in root.handlers if isinstance(found, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(min(_number(level), logging.WARNING))
    structlog.configure(
        processors=_to_stdlib(),
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> BoundLogger:
    """A structured logger: ``logger(__name__).info("fitted", before=9000, after=5000)``.

    It ends in the standard library's logger of that name, whether or not logging is configured.
    """
    import structlog  # noqa: PLC0415 -- only programs that log pay for it

    wrapped: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=_to_stdlib(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return wrapped


@contextmanager
def bound(
    *, request: str | None = None, session: str | None = None, agent: str | None = None
) -> Iterator[None]:
    """Adds ids to every line logged inside, in this task and the tasks it starts."""
    import structlog  # noqa: PLC0415 -- only programs that log pay for it

    ids = {"request": request, "session": session, "agent": agent}
    with structlog.contextvars.bound_contextvars(**{k: v for k, v in ids.items() if v is not None}):
        yield


class _Threshold(logging.Filter):
    """Lets our own loggers through from a level up, others from warnings up."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self._ours = _number(level)
        self._others = max(self._ours, logging.WARNING)

    def filter(self, record: logging.LogRecord) -> bool:
        least = self._ours if record.name.startswith(_OURS) else self._others
        return record.levelno >= least


def _number(level: Level) -> int:
    found = logging.getLevelNamesMapping().get(level.upper())
    if found is None:
        raise ValueError(f"level is {level!r}, expected debug, info, warning, error or critical")
    return found


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Puts stars in place of secrets, by their type and by the key they are under."""
    if event.get("message") == event.get("event"):  # left in the record by another handler
        event.pop("message", None)
    return {key: value if key in _KEPT else redacted(value, key) for key, value in event.items()}


def _common() -> list[Processor]:
    """What is added to every line, whoever logged it."""
    import structlog  # noqa: PLC0415 -- only programs that log pay for it

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]


def _to_stdlib() -> list[Processor]:
    import structlog  # noqa: PLC0415 -- only programs that log pay for it

    return [
        structlog.stdlib.filter_by_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        *_common(),
        structlog.processors.StackInfoRenderer(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ]


def _rendering(stream: TextIO, style: Format) -> list[Processor]:
    import structlog  # noqa: PLC0415 -- only programs that log pay for it

    terminal = stream.isatty()
    if style == "human" or (style == "auto" and terminal):
        colours = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        # Plain tracebacks: structlog's own show local variables, which may hold secrets.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
    ]
