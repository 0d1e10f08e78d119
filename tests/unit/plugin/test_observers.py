import asyncio
import logging
import threading

import pytest

from massgen_core.events import PluginFailed, TextDelta
from massgen_core.plugin._observers import FAILURES_UNTIL_MUTED, Observer, Observers

EVENT = TextDelta("hello")


def recorder(into: list) -> Observer:
    return Observer("massgen-good", "good", into.append)


def failing(calls: list, *, forgives: int = 0) -> Observer:
    def send(event):
        calls.append(event)
        if len(calls) > forgives:
            raise ValueError("observer bug")

    return Observer("massgen-bad", "bad", send)


def test_every_observer_gets_every_event_in_order():
    first, second = [], []
    observers = Observers([recorder(first), recorder(second)])
    events = [TextDelta(str(n)) for n in range(3)]
    for event in events:
        observers.send(event)
    assert events == first == second


def test_a_failing_observer_reaches_neither_the_run_nor_the_others(caplog):
    seen = []
    Observers([failing([]), recorder(seen)]).send(EVENT)
    assert [EVENT] == seen
    (record,) = caplog.records
    assert logging.WARNING == record.levelno
    assert "massgen-bad (entry point bad) failed on backend.text_delta" in record.getMessage()
    assert record.exc_info[0] is ValueError


def test_after_three_failures_in_a_row_it_is_muted_and_the_others_hear_of_it_once():
    calls, seen = [], []
    observers = Observers([failing(calls), recorder(seen)])
    for _ in range(10):
        observers.send(EVENT)
    assert FAILURES_UNTIL_MUTED == len(calls) == 3
    failed = [event for event in seen if isinstance(event, PluginFailed)]
    assert [("massgen-bad", "bad")] == [(event.dist, event.name) for event in failed]
    assert "ValueError: observer bug" in failed[0].error
    assert 10 == len(seen) - len(failed)


def test_a_success_forgives_the_failures_before_it():
    outcomes = [ValueError(), ValueError(), None] * 4
    calls = []

    def send(event):
        calls.append(event)
        outcome = outcomes[len(calls) - 1]
        if outcome:
            raise outcome

    observers = Observers([Observer("d", "e", send)])
    for _ in outcomes:
        observers.send(EVENT)
    assert len(outcomes) == len(calls)


def test_observers_that_all_fail_end_in_silence_not_in_a_loop():
    calls = [[] for _ in range(4)]
    observers = Observers([failing(each) for each in calls])
    for _ in range(20):
        observers.send(EVENT)
    assert all(3 <= len(each) <= 7 for each in calls)
    counts = [len(each) for each in calls]
    observers.send(EVENT)
    assert counts == [len(each) for each in calls]


def test_an_observer_that_causes_an_event_does_not_get_it_back():
    calls = []

    def send(event):
        calls.append(event)
        observers.send(TextDelta("echo"))

    observers = Observers([Observer("d", "e", send)])
    observers.send(EVENT)
    observers.send(EVENT)
    assert [EVENT, EVENT] == calls


@pytest.mark.parametrize("signal", [KeyboardInterrupt, asyncio.CancelledError])
def test_control_flow_passes_and_the_next_event_is_sent(signal):
    raised = [signal()]
    calls = []

    def send(event):
        calls.append(event)
        if raised:
            raise raised.pop()

    observers = Observers([Observer("d", "e", send)])
    with pytest.raises(signal):
        observers.send(EVENT)
    observers.send(EVENT)
    assert [EVENT, EVENT] == calls


def test_system_exit_of_an_observer_does_not_end_the_run():
    def send(_):
        raise SystemExit(1)

    seen = []
    Observers([Observer("d", "e", send), recorder(seen)]).send(EVENT)
    assert [EVENT] == seen


def test_an_event_of_another_thread_is_sent_while_an_observer_is_busy():
    inside, go_on, seen = threading.Event(), threading.Event(), []

    def send(event):
        seen.append(event)
        if event is EVENT:
            inside.set()
            go_on.wait(5)

    observers = Observers([Observer("d", "e", send)])
    thread = threading.Thread(target=observers.send, args=(EVENT,))
    thread.start()
    assert inside.wait(5)
    other = TextDelta("from elsewhere")
    observers.send(other)
    go_on.set()
    thread.join(5)
    assert [EVENT, other] == seen


def test_a_host_sends_to_observers_of_plugins_and_reports_what_is_broken(workshop, host):
    source = "events = []\n@hookimpl\ndef massgen_observe(event): events.append(event)\n"
    watch = workshop.plugin("massgen-watch", source)
    made = host(watch, workshop.plugin("massgen-bad", "1/0", entry_point="bad"))
    made.observe(EVENT)
    failed, event = __import__(watch.value).events
    assert ("massgen-bad", "bad") == (failed.dist, failed.name)
    assert "ZeroDivisionError" in failed.error
    assert event is EVENT
    assert [False, True] == [report.observes for report in made.plugins()]


def test_an_observer_may_ignore_the_event_itself(workshop, host):
    source = "calls = []\n@hookimpl\ndef massgen_observe(): calls.append(1)\n"
    watch = workshop.plugin("massgen-watch", source)
    host(watch).observe(EVENT)
    assert __import__(watch.value).calls == [1]
