from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from massgen_core.backends import Accounted, Accounts, Request
from massgen_core.errors import Transient
from massgen_core.events import Usage
from massgen_core.messages import user
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.testing._virtual import hear, virtual
from massgen_core.tokens import Prices

PRICES = Prices(
    input=Decimal("0.075"), output=Decimal("0.3"), cached=Decimal("0.01"), cache_write=Decimal(1)
)
COUNTS = st.integers(0, 10**7)


def ask(*script, model="m", prices=PRICES):
    accounts = Accounts()
    backend = Accounted(ScriptedBackend(script), accounts, lambda name: prices)

    async def main():
        return [await hear(backend, Request(model, (user("Hi"),))) for _ in script]

    return virtual(main()), accounts.all()


def test_what_was_reported_is_priced_and_added_up():
    usage = Usage(1000, 100, cached=400, reasoning=50, cache_write=100)
    heard, [account] = ask(Answer("a", usage=usage), Answer("b", usage=usage))
    exact = 500 * 0.075 + 400 * 0.01 + 100 + 100 * 0.3
    assert [round(exact)] * 2 == [e.cost for h in heard for e in h.events if isinstance(e, Usage)]
    assert Usage(2000, 200, 800, 100, 200, 2 * round(exact)) == account.usage
    assert ("scripted", "m", 2, 0, 0) == (
        account.backend,
        account.model,
        account.requests,
        account.unpriced,
        account.unreported,
    )


def test_a_cost_that_the_provider_reports_is_believed():
    _, [account] = ask(Answer("a", usage=Usage(1000, 100, cost=7)))
    assert 7 == account.usage.cost


def test_a_price_that_is_not_known_is_no_price_of_zero():
    heard, [account] = ask(Answer("a", usage=Usage(1000, 100)), prices=None)
    assert [None] == [e.cost for e in heard[0].events if isinstance(e, Usage)]
    assert 1 == account.unpriced


def test_an_answer_that_broke_off_is_counted_as_unreported():
    _, [account] = ask(Answer("a b", error=Transient("dropped")), Answer("c", reported=False))
    assert (2, 2) == (account.requests, account.unreported)


def test_a_request_that_was_not_answered_costs_nothing():
    _, accounts = ask(Transient("down"))
    assert () == accounts


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_no_token_is_paid_twice(fresh, cached, written, completion):
    usage = Usage(fresh + cached + written, completion, cached, 0, written)
    exact = (
        fresh * PRICES.input
        + cached * PRICES.cached
        + written * PRICES.cache_write
        + completion * PRICES.output
    )
    assert abs(exact - PRICES.of(usage)) <= Decimal("0.5")
