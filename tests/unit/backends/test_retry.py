from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.backends import CountsTokens, Request, Retrying
from massgen_core.errors import (
    AuthFailed,
    CircuitOpen,
    ContentFiltered,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    MalformedHistory,
    QuotaExceeded,
    RateLimited,
    Transient,
)
from massgen_core.events import Waiting
from massgen_core.messages import user
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.testing._virtual import hear, timing, virtual

ASK = Request("m", (user("Hi"),))
ASK_LONG = Request("m", (user("word " * 9),))
OTHER = Request("m", (user("Hello"),))


def ask(*script, chance=0.5, request=ASK, **settings):
    backend = ScriptedBackend(script)
    retrying = Retrying(backend, timing=timing(chance), **settings)
    return virtual(hear(retrying, request)), backend


@pytest.mark.parametrize("error", [Transient("down"), RateLimited("busy")])
def test_what_may_pass_is_sent_again(error):
    heard, _ = ask(error, error, "Hello.")
    assert ["waiting", "waiting", "text_delta", "usage", "finished"] == heard.kinds
    assert [1, 2] == [e.attempt for e in heard.events if isinstance(e, Waiting)]
    assert heard.error is None


@pytest.mark.parametrize(
    "error",
    [
        AuthFailed("who?"),
        CircuitOpen("down", retry_after=1),
        ContentFiltered("no"),
        ContextOverflow("long"),
        Fatal("broken"),
        InvalidRequest("what?"),
        MalformedHistory("order"),
        QuotaExceeded("pay"),
        KeyError("a bug"),
    ],
)
def test_what_will_not_pass_is_raised_as_it_is(error):
    def fail(request):
        raise error

    heard, _ = ask(fail, "Hello.")
    assert error is heard.error
    assert [] == heard.events


def test_nothing_is_sent_again_once_something_of_the_answer_came():
    heard, _ = ask(Answer("Half an ", error=Transient("dropped")), "Hello.")
    assert ["text_delta"] * 2 == heard.kinds
    assert "dropped" == heard.error.message


def test_waits_are_chosen_by_chance_up_to_a_doubling_limit():
    down = [Transient("down")] * 6
    heard, _ = ask(*down, "Hello.", chance=0.999, attempts=7, most=5)
    waits = [round(e.seconds, 1) for e in heard.events if isinstance(e, Waiting)]
    assert [1.0, 2.0, 4.0, 5.0, 5.0, 5.0] == waits
    assert pytest.approx(sum([0.999, 1.998, 3.996, *[4.995] * 3])) == heard.times[-1]


@given(st.floats(0, 0.999), st.integers(1, 9))
def test_a_wait_is_never_longer_than_its_limit(chance, failures):
    heard, _ = ask(*[Transient("down")] * failures, "Hello.", chance=chance, attempts=10, most=10)
    waits = [e.seconds for e in heard.events if isinstance(e, Waiting)]
    assert all(0 <= wait <= min(10, 2**n) for n, wait in enumerate(waits))
    assert failures == len(waits)


@given(st.floats(0.1, 100), st.floats(0, 0.999))
def test_it_waits_as_long_as_the_provider_asks_and_a_little_more(asked, chance):
    heard, _ = ask(RateLimited("busy", retry_after=asked), "Hello.", chance=chance)
    assert asked <= heard.times[-1] <= asked * 1.1001
    assert "rate_limit" == heard.events[0].cause


def test_it_gives_up_after_its_attempts():
    heard, _ = ask(*[Transient("down")] * 9, attempts=3)
    assert ["waiting"] * 2 == heard.kinds
    assert ["gave up after 3 attempts"] == heard.error.__notes__


def test_one_attempt_sends_nothing_again():
    heard, _ = ask(Transient("down"), "Hello.", attempts=1)
    assert [] == heard.events
    assert "down" == heard.error.message


def test_a_wait_that_would_end_after_the_deadline_is_not_begun():
    heard, _ = ask(RateLimited("busy", retry_after=200), "Hello.", deadline=100)
    assert [] == heard.events
    assert isinstance(heard.error, RateLimited)
    note = "the provider asks to wait 200 s, longer than backend.retry.deadline, 100 s"
    assert [note] == heard.error.__notes__


def test_the_deadline_holds_for_all_attempts_together():
    busy = [RateLimited("busy", retry_after=40)] * 9
    heard, _ = ask(*busy, "Hello.", deadline=100, attempts=9, chance=0)
    assert [0, 40] == heard.times
    assert ["gave up after 3 attempts"] == heard.error.__notes__


def test_a_request_that_was_too_long_is_not_sent_twice():
    backend = ScriptedBackend([ContextOverflow("long", limit=5, used=9), "Hello.", "Hello."])
    retrying = Retrying(backend, timing=timing())

    async def main():
        heard = [await hear(retrying, ASK)]
        heard[0].error.add_note("a note of whoever caught it")
        del heard[0].error.__notes__[:]
        return heard + [await hear(retrying, one) for one in (ASK, OTHER, ASK)]

    first, second, third, fourth = virtual(main())
    assert (5, 9) == (second.error.limit, second.error.used)
    for again in (second, fourth):
        assert ["the same request was refused before; it was not sent again"] == (
            again.error.__notes__
        )
    assert ["text_delta", "usage", "finished"] == third.kinds
    assert isinstance(fourth.error, ContextOverflow)
    assert first.error is not second.error
    assert [OTHER] == backend.requests


def test_a_wait_can_be_cancelled():
    async def main():
        retrying = Retrying(ScriptedBackend([RateLimited("busy", retry_after=99)]), timing=timing())
        task = asyncio.create_task(hear(retrying, ASK))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled(), asyncio.get_running_loop().time()

    assert (True, 1) == virtual(main())


def test_it_counts_tokens_if_the_backend_does():
    class Plain:
        name = "plain"
        stream = caps = classify = aclose = None

    assert isinstance(Retrying(ScriptedBackend()), CountsTokens)
    assert not isinstance(Retrying(Plain()), CountsTokens)
    assert 9 < virtual(Retrying(ScriptedBackend()).count_tokens(ASK_LONG))
