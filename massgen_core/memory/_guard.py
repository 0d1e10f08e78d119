"""The fence around plugins of memory: what they raise, or how long they take, costs no memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Closes(Protocol):
    """A plugin, as far as it is closed."""

    async def close(self) -> None:
        """Releases what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What came of a plugin's work.

    Attributes:
        value: The result; None if there is none.
        error: Why there is none, for a person; empty if there is one.
    """

    value: T | None
    error: str = ""


async def guarded(work: Callable[[], Awaitable[T]], timeout: float) -> Outcome[T]:  # noqa: ASYNC109 - reported
    """The result of a plugin's work, or why there is none.

    Args:
        work: Calls the plugin.
        timeout: Seconds it may take.
    """
    try:
        async with asyncio.timeout(timeout) as limit:
            return Outcome(await work())
    except Exception as exc:  # noqa: BLE001 - the memory fence
        if isinstance(exc, TimeoutError) and limit.expired():
            return Outcome(None, f"no answer within {timeout:g} seconds")
        return Outcome(None, f"{type(exc).__name__}: {exc}")


async def close(
    name: str,
    plugin: Closes | None,
    told: Callable[[str, str], None],
    timeout: float,  # noqa: ASYNC109 - reported
) -> None:
    """Close a plugin, if there is one; `told` is told if that fails."""
    if plugin is not None:
        outcome = await guarded(lambda: plugin.close(), timeout)  # noqa: PLW0108 - it may have none
        if outcome.error:
            told(name, f"closing failed: {outcome.error}")
