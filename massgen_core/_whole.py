"""Work that a cancelled caller does not stop half-way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")


async def whole(work: Coroutine[Any, Any, _T]) -> _T:
    """Runs `work` to its end even if the caller is cancelled, which then is told afterwards.

    What is on its way to the disk arrives there; memory must not miss it.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # the cancellation is what the caller is told
        raise
