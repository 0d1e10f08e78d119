"""A plugin for these tests: the backend ``scripted``, which does what the newest message says.

Where long-term memory asks, it says what the file ``facts`` or ``summary`` has.
"""

from __future__ import annotations

from itertools import repeat
from pathlib import Path

from pydantic import BaseModel

from massgen_core import errors
from massgen_core.messages import ToolCall
from massgen_core.plugin import Provides, hookimpl
from massgen_core.testing import Answer, ScriptedBackend

SEEN = []
BUSY = []


class Settings(BaseModel):
    window: int = 8192
    delay: float = 0.0


@hookimpl
def massgen_backend():
    return Provides(name="scripted", factory="mgc_scripted:make", settings="mgc_scripted:Settings")


@hookimpl
def massgen_embedder():
    return Provides(name="deaf", factory="mgc_scripted:Deaf")


class Deaf:
    """An embedder whose server is gone."""

    identity = "deaf/1"
    dimensions = 2

    def __init__(self, settings, ctx):
        pass

    async def embed(self, texts, /, *, purpose):
        raise ConnectionError("nobody is there")

    async def close(self):
        return None


@hookimpl
def massgen_observe(event):
    SEEN.append(event)


def make(settings, _ctx):
    if settings.window == 0:
        raise errors.InvalidSetting("a window of 0 holds nothing", path="backend.window")

    def answer(request):
        newest = request.messages[-1]
        asked = request.messages[0].text
        if "the long-term memory of an assistant" in asked:
            return Path("facts").read_text("utf-8")
        if "Summarise them" in asked:
            return Path("summary").read_text("utf-8")
        if newest.role == "tool":
            return f"The tool said {newest.results[0].text}."
        word, _, rest = newest.text.partition(" ")
        if word == "CALL":
            name, _, arguments = rest.partition(" ")
            return Answer(calls=(ToolCall("c1", name, arguments or "{}"),))
        if word == "RAISE":
            return Answer("Well", error=getattr(errors, rest)("as it was told", backend="scripted"))
        if word == "BUSY" and not BUSY:
            BUSY.append(rest)
            raise errors.RateLimited("slow down", retry_after=float(rest))
        if word == "CRASH":
            raise ZeroDivisionError("as it was told")
        return Answer(f"You said: {newest.text}", delay=settings.delay)

    return ScriptedBackend(repeat(answer), window=settings.window)
