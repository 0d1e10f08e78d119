"""The suites: each yields rows of one peer as soon as they are measured."""

from __future__ import annotations

import gc
import json
import statistics
import time
from typing import TYPE_CHECKING, Any

import data
from peers.peer import Chat, Loop, Peer, exactly, size
from traffic import agent_traffic

from massgen_core.errors import ContextOverflowError
from massgen_core.measure import billed, edges, is_long, retention
from massgen_core.messages import from_openai, to_openai
from massgen_core.tokens import ModelCatalogue, counter_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from massgen_core.measure import Edge, Retention, Transcript
    from massgen_core.messages import Message

BUDGETS = (8_000, 16_000, 32_000, 64_000)
SHARES = (0.75, 0.5)
CACHE_BUDGET = 64_000
CASES = [(1_000, 8_000), (10_000, 8_000), (10_000, 128_000)]
TURNS = 1_000
CAP = 12.0
"""CPU seconds for the turns of one case; those that are done by then are what is measured."""
COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))


class Fitting:
    """A peer as `massgen_core.measure` takes it.

    Chat messages become the same `Message` again whenever they say the same, so that what the peer
    returned can be compared.
    """

    def __init__(self, peer: Peer[Any]) -> None:
        self.peer = peer
        self.failures: dict[str, str] = {}
        self._known: dict[str, Message] = {}
        self._sizes: dict[int, tuple[Message, int]] = {}

    def fitted(self, history: Transcript, length: int, budget: int) -> Sequence[Message]:
        chat = [to_openai(message) for message in history.messages[:length]]
        try:
            return self.messages(self.peer.fitted(chat, budget))
        except Exception as exc:
            self.failures[history.name] = type(exc).__name__
            raise ContextOverflowError(str(exc), limit=budget, used=0) from exc

    def tokens(self, messages: Iterable[Message]) -> int:
        return sum(map(self._size, messages))

    def messages(self, chat: Iterable[Chat]) -> list[Message]:
        return list(map(self._message, chat))

    def _message(self, chat: Chat) -> Message:
        key = json.dumps(chat)
        if key not in self._known:
            self._known[key] = from_openai(chat, message_id=f"m{len(self._known)}")
        return self._known[key]

    def _size(self, message: Message) -> int:
        known = self._sizes.get(id(message))
        if known is None:
            known = self._sizes[id(message)] = message, size(to_openai(message))
        return known[1]


def kept(peer: Peer[Any]) -> Iterator[list[object]]:
    """Budget, cuts, and the cells of a row of retention."""
    fitting = Fitting(peer)
    read = data.read(data.files(), COUNTER)
    long, short = [one for one in read if is_long(one)], [one for one in read if not is_long(one)]
    for of, budgets in ((long, BUDGETS), (short, SHARES)):
        for budget in budgets:
            [row] = retention(fitting, of, [budget])
            if row.cuts:
                yield [_budget(row), row.cuts, *_shares(row)]


def _budget(row: Retention) -> str:
    return f"{row.budget:,.0f}" if row.budget > 1 else f"{row.budget:.0%} of an episode"


def _shares(row: Retention) -> list[object]:
    shares = (row.retained, row.in_context, row.user_text, row.system_text, row.used)
    return [*(f"{share:.1%}" for share in shares), row.over, row.unpaired, row.errors]


def cache(peer: Peer[Any]) -> Iterator[list[object]]:
    """Requests, mean tokens, cached, breaks, cost, over: of a session, one request a turn."""
    fitting = Fitting(peer)
    for transcript in data.read(data.sessions(), COUNTER):
        budget = min(CACHE_BUDGET, transcript.tokens // 2)
        requests = list(_requests(fitting, transcript, budget))
        bill = billed(requests, fitting.tokens)
        over = sum(fitting.tokens(request) > budget for request in requests)
        mean, cost = bill.tokens / bill.turns, bill.cost / bill.turns
        shown = [f"{mean:,.0f}", f"{bill.cached / bill.tokens:.1%}", bill.breaks, f"{cost:,.0f}"]
        yield [f"{budget:,}", bill.turns, *shown, over]


def _requests(fitting: Fitting, session: Transcript, budget: int) -> Iterator[list[Message]]:
    peer = fitting.peer
    loop = peer.loop(budget, [])
    native = peer.native([to_openai(message) for message in session.messages])
    for place, message in enumerate(session.messages):
        if place and message.role == "assistant" and not session.messages[place - 1].calls:
            yield fitting.messages(peer.back(loop.fit()))
        loop.add(native[place])


def loop(peer: Peer[Any]) -> Iterator[list[object]]:
    """Messages, budget, turns, mean, median, first: the time to add one message and fit."""
    exactly()
    for messages, budget in CASES:
        native = peer.native(agent_traffic(messages + TURNS + 1))
        history = peer.loop(budget, native[:messages])
        gc.collect()
        first, _ = _turn(history, native[messages])
        walls, spent = [], 0.0
        for message in native[messages + 1 :]:
            cpu, wall = _turn(history, message)
            walls.append(wall)
            spent += cpu
            if spent + first > CAP:
                break
        shown = [_time(value) for value in (spent / len(walls), statistics.median(walls), first)]
        yield [f"{messages:,}", f"{budget:,}", len(walls), *shown]


def _turn(history: Loop[Any], message: Any) -> tuple[float, float]:
    """CPU and wall seconds of a turn."""
    cpu, wall = time.process_time(), time.perf_counter()
    history.add(message)
    history.fit()
    return time.process_time() - cpu, time.perf_counter() - wall


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:,.1f} s"
    return f"{seconds * 1e3:,.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:,.0f} µs"


def edge_cases(peer: Peer[Any]) -> Iterator[list[object]]:
    """Case, survived, tokens, over, unpaired, question kept, what it raises."""
    fitting = Fitting(peer)
    for edge in edges(fitting):
        raised = fitting.failures.get(edge.case, "")
        yield [edge.case, *_fate(edge, raised)]


def _fate(edge: Edge, raised: str) -> list[object]:
    """An error is survival only where nothing else is possible and it says what is wrong."""
    typed = "overflow" in raised.lower()
    survived = edge.survived and (typed or not raised)
    told = ["yes" if value else "no" for value in (survived, edge.over, edge.question)]
    return [told[0], f"{edge.tokens:,}", told[1], edge.unpaired, told[2], raised or "-"]


SUITES = {"kept": kept, "cache": cache, "loop": loop, "edges": edge_cases}
