"""Time and identifiers, injected so that tests can move them."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Protocol


def utc(seconds: float) -> datetime | None:
    """A point in time of the calendar; None for one in a year that it does not have.

    Args:
        seconds: Since the Unix epoch.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


class Clock(Protocol):
    """What the engine asks about time.

    Examples:
        >>> class Frozen:
        ...     def now(self) -> float:
        ...         return 1_700_000_000.0
        ...
        ...     def monotonic(self) -> float:
        ...         return 0.0
        >>> Frozen().now()
        1700000000.0
    """

    def now(self) -> float:
        """Seconds since the Unix epoch; may go backwards when the system clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes backwards."""
        ...


class SystemClock:
    """The clock of the machine."""

    __slots__ = ()

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()


SYSTEM_CLOCK: Clock = SystemClock()


def uuid7(now: float | None = None) -> str:
    """A new UUIDv7: 36 characters, sortable by creation time, unique across processes.

    Layout after RFC 9562, section 5.7, with method 3 of section 6.2: 48 bits of milliseconds,
    12 bits of the fraction of a millisecond (steps of about 244 ns), 62 random bits.

    Args:
        now: Seconds since the Unix epoch; the system clock if omitted.
    """
    nanoseconds = time.time_ns() if now is None else max(0, int(now * 1e9))
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    value = (
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random
    )
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
