"""Many streams that have much to say leave room for other work of the event loop."""

from __future__ import annotations

import asyncio
from collections import Counter

from massgen_core.backends import Endpoints, Policy, Request
from massgen_core.events import Finished, TextDelta
from massgen_core.messages import user
from massgen_core.testing import ScriptedBackend

ASK = Request("m", (user("Hi"),))
PIECES = 40


class Busy(ScriptedBackend):
    """Has all of its answer at once, and works a millisecond on each piece by the loop's clock."""

    def __init__(self):
        super().__init__()
        self.now = 100.0
        self.rounds = 0
        self.pieces = Counter()
        self.starts = Counter()

    async def stream(self, request, /):
        self.starts[self.rounds] += 1
        for _ in range(PIECES):
            self.now += 0.001
            self.pieces[self.rounds] += 1
            yield TextDelta("word ")
        yield Finished("stop", request.model)


def ran(backend, streams, monkeypatch):
    """Asks so many times at once, while the rounds of the loop are counted."""

    async def one(patient):
        return [event.kind async for event in patient.stream(ASK)]

    async def main():
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "time", lambda: backend.now)

        def count():
            backend.rounds += 1
            loop.call_soon(count)

        count()
        wrap = Endpoints().wrap
        patients = [wrap(backend, Policy(), f"endpoint {n % 2}") for n in range(streams)]
        return await asyncio.gather(*(one(patient) for patient in patients))

    return asyncio.run(main())


def test_every_stream_gets_all_of_its_answer(monkeypatch):
    found = ran(Busy(), 20, monkeypatch)

    whole = ["backend.text_delta"] * PIECES + ["backend.finished"]
    assert [whole] * 20 == found


def test_a_round_of_the_loop_ends_soon_whatever_there_is_to_say(monkeypatch):
    backend = Busy()
    ran(backend, 20, monkeypatch)

    assert max(backend.pieces.values()) <= 6 + 20  # 5 ms of one, and a piece of each of the others


def test_requests_that_begin_at_once_begin_in_several_rounds(monkeypatch):
    backend = Busy()
    ran(backend, 20, monkeypatch)

    assert [4] * 5 == list(backend.starts.values())


def test_one_stream_alone_yields_the_loop_as_well(monkeypatch):
    backend = Busy()
    ran(backend, 1, monkeypatch)

    assert max(backend.pieces.values()) <= 6
    assert PIECES == backend.pieces.total()
