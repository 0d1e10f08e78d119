from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from massgen_core.backends import Circuit, Guarded, Request
from massgen_core.errors import AuthFailed, CircuitOpen, RateLimited, Transient
from massgen_core.events import TextDelta
from massgen_core.messages import user
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.testing._virtual import hear, timing, virtual

ASK = Request("m", (user("Hi"),))


class Stalling(ScriptedBackend):
    """Says a word, then nothing for an hour."""

    def __init__(self, first="Well "):
        super().__init__()
        self.first = first
        self.ended = 0

    async def stream(self, request, /):
        try:
            if self.first:
                yield TextDelta(self.first)
            await asyncio.sleep(3600)
        finally:
            self.ended += 1


DOWN = Transient("down")


def play(*script, wait=0.0, failures=3, pause=30):
    """Asks once for each answer, `wait` seconds apart; what came, and the circuit."""

    async def main():
        circuit = Circuit(failures=failures, pause=pause, timing=timing())
        backend = Guarded(ScriptedBackend(script), circuit)
        heard = []
        for _ in script:
            heard.append(await hear(backend, ASK))
            await asyncio.sleep(wait)
        return heard, circuit.state

    return virtual(main())


def test_it_opens_after_failures_in_a_row_and_says_so():
    heard, state = play(DOWN, DOWN, DOWN, "never asked")
    assert [[], [], ["circuit_opened"], []] == [one.kinds for one in heard]
    assert isinstance(heard[-1].error, CircuitOpen)
    assert 30 == heard[-1].error.retry_after
    assert "open" == state


@pytest.mark.parametrize("between", ["Hello.", AuthFailed("who?")])
def test_an_answer_or_a_refusal_begins_the_count_anew(between):
    heard, state = play(DOWN, DOWN, between, DOWN, DOWN, "Hello.")
    assert "closed" == state
    assert heard[-1].error is None


def test_a_rate_limit_counts_as_nothing():
    _, state = play(DOWN, DOWN, RateLimited("busy"), DOWN)
    assert "open" == state


def test_after_the_pause_one_request_tries_it():
    async def main():
        circuit = Circuit(failures=1, pause=30, timing=timing())
        slow = ScriptedBackend([DOWN, Answer("Hello again.", delay=5), "Hello."])
        backend = Guarded(slow, circuit)
        await hear(backend, ASK)
        await asyncio.sleep(30)
        assert "half-open" == circuit.state
        heard = await asyncio.gather(*(hear(backend, ASK) for _ in range(5)))
        return [one.error is None for one in heard], circuit.state, len(slow.requests)

    assert ([True, False, False, False, False], "closed", 1) == virtual(main())


def test_a_failed_trial_opens_it_again():
    heard, state = play(DOWN, DOWN, wait=31, failures=1)
    assert [["circuit_opened"]] * 2 == [one.kinds for one in heard]
    assert "half-open" == state


def test_a_trial_that_was_broken_off_lets_another_one_try():
    async def main():
        circuit = Circuit(failures=1, pause=30, timing=timing())
        await hear(Guarded(ScriptedBackend([DOWN]), circuit), ASK)
        await asyncio.sleep(31)
        async with aclosing(Guarded(Stalling(), circuit).stream(ASK)) as stream:
            await anext(stream)
            with pytest.raises(CircuitOpen):
                await anext(Guarded(ScriptedBackend(["no"]), circuit).stream(ASK))
        return (await hear(Guarded(ScriptedBackend(["Hello."]), circuit), ASK)).error

    assert virtual(main()) is None


def test_a_request_from_before_that_fails_late_is_no_trial():
    circuit = Circuit(failures=1, pause=30, timing=timing())
    assert circuit.failed()
    assert not circuit.failed()
    assert 2 == circuit.failures


def test_a_trial_that_fails_after_the_circuit_closed_is_one_failure_of_many():
    moment = timing()
    circuit = Circuit(failures=2, pause=0, timing=moment)
    assert (False, True) == (circuit.failed(), circuit.failed())
    assert (0.0, True) == circuit.enter()
    circuit.succeeded()  # of a request from before
    assert not circuit.failed(trial=True)
    assert "closed" == circuit.state


def test_all_that_share_it_are_kept_away():
    async def main():
        circuit = Circuit(failures=1, pause=30, timing=timing())
        one = Guarded(ScriptedBackend([DOWN]), circuit)
        other = Guarded(ScriptedBackend(["never asked"]), circuit)
        await hear(one, ASK)
        return (await hear(other, ASK)).error

    assert isinstance(virtual(main()), CircuitOpen)
