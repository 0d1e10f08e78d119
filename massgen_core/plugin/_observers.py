"""Sends events to observers, each isolated from the others and from the run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_core.events import Event, PluginFailed
from massgen_core.plugin._fence import Fence, describe

if TYPE_CHECKING:
    from collections.abc import Iterable

FAILURES_UNTIL_MUTED: Final = 3  # in a row: one bad event is forgiven, a broken observer is not

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Observer:
    """One plugin's observer and how it fared.

    Attributes:
        dist: Name of the distribution.
        entry_point: Name of the entry point.
        send: Calls the plugin.
        failures: Failures since the last success.
    """

    dist: str
    entry_point: str
    send: Callable[[Event], object]
    failures: int = 0

    @property
    def muted(self) -> bool:
        """Whether it failed too often to be called again."""
        return self.failures >= FAILURES_UNTIL_MUTED


class Observers:
    """The observers of a host. Safe to use from several threads."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)
        self._here = threading.local()

    def send(self, event: Event) -> None:
        """Tells every observer that is not muted; never raises what an observer raises.

        An event an observer causes while it is being told is not sent: it would come back to it.
        """
        if not self._observers or getattr(self._here, "busy", False):
            return
        self._here.busy = True
        try:
            for news in self._deliver(event):
                self._deliver(news)
        finally:
            self._here.busy = False

    def _deliver(self, event: Event) -> list[PluginFailed]:
        """Tells each observer; returns one event per observer that is muted from now on."""
        muted = []
        for observer in [each for each in self._observers if not each.muted]:
            error = _tell(observer, event)
            if error is not None and observer.muted:
                muted.append(PluginFailed(observer.dist, observer.entry_point, describe(error)))
        return muted


def _tell(observer: Observer, event: Event) -> BaseException | None:
    with Fence() as fence:
        observer.send(event)
        observer.failures = 0
    if fence.error is None:
        return None
    observer.failures += 1
    _log.warning(
        "observer of %s (entry point %s) failed on %s%s",
        observer.dist,
        observer.entry_point,
        event.kind,
        "; it is muted" if observer.muted else "",
        exc_info=fence.error,
    )
    return fence.error
