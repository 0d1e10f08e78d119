"""What its settings do; the conformance suite covers the rest."""

import pytest
from pydantic import ValidationError

from massgen_core.context import ContextEngine, ContextWindow
from massgen_core.messages import ToolCall, assistant, tool, user
from massgen_core.tokens import ModelCatalogue, counter_for
from massgen_priority.settings import Settings
from massgen_priority.strategy import Priority

COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))
BODY = " so it is" * 40


def window_of(*messages, **settings):
    window = ContextWindow(ContextEngine([Priority(Settings(**settings))], COUNTER, target=1.0))
    for message in (user("the task"), *messages, user("the question")):
        window.append(message)
    return window


def kept(window, leaving=1):
    """First words of what stays if room for so many must be made, without task and question."""
    window.fit(window.view.tokens - 100 * leaving)  # each has about 125 tokens
    return [group.text.split(" so")[0] for group in window.view][1:-1]


def says(name, **meta):
    return assistant(name + BODY, **meta)


def test_the_lowest_priority_leaves_first_and_the_oldest_first_within_one():
    names = [("a", 1), ("b", 0), ("c", 2), ("d", 0), ("e", 1), ("f", 0)]
    window = window_of(*[says(name, priority=priority) for name, priority in names])
    assert ["a", "c", "d", "e", "f"] == kept(window)
    assert ["a", "c", "e", "f"] == kept(window)
    assert ["c", "e"] == kept(window, 2)


def test_no_priority_is_priority_zero():
    window = window_of(says("a"), says("b", priority=-1), says("c", priority="9"), says("d"))
    assert ["c", "d"] == kept(window, 2)


def test_roles_and_authors_have_priorities_and_a_given_one_is_over_both():
    window = window_of(
        user("u" + BODY),
        says("a"),
        assistant("t", ToolCall("1", "read")),
        tool("1", "result" + BODY),
        says("planner", author="planner"),
        says("given", author="planner", priority=-9),
        roles={"user": 5, "tool": -5},
        authors={"planner": 9},
    )
    assert ["u", "a", "planner"] == kept(window, 2)
    assert ["u", "planner"] == kept(window)
    assert ["planner"] == kept(window)


def test_a_call_and_its_results_have_the_highest_priority_given_to_one_of_them():
    call, result = assistant("t", ToolCall("1", "read")), tool("1", "result" + BODY)
    important = type(result)(result.role, result.parts, meta={"priority": 3})
    window = window_of(call, important, says("a", priority=1), says("b", priority=2))
    assert ["t\nread {}\nresult", "b"] == kept(window)


def test_peers_are_a_class_of_their_own_whatever_their_role():
    window = window_of(
        says("a"),
        user("p1" + BODY, author="bob"),
        says("p2", author="eve"),
        says("p3", author="bob", priority=1),
        says("b"),
        roles={"user": 9, "peer": -1},
        authors={"eve": 2},
    )
    assert ["a", "p2", "p3", "b"] == kept(window)
    assert ["p2", "p3"] == kept(window, 2)


def test_peers_beyond_their_share_leave_before_anything_else():
    peers = [says(f"p{n}", author="bob", priority=9) for n in range(4)]
    own = [says(f"o{n}", author="me") for n in range(4)]
    settings = {"peer_share": 0.3, "self_name": "me"}
    window = window_of(*own, *peers, **settings)
    assert ["o1", "o2", "o3", "p3"] == kept(window, 4)
    first, second = window.operations
    assert "peers' messages are beyond their share" == first.reason
    assert "lowest priority first, oldest first" == second.reason


def test_without_a_share_peers_are_like_all_others():
    peers = [says(f"p{n}", author="bob") for n in range(3)]
    assert ["p2", "o0", "o1"] == kept(window_of(*peers, says("o0"), says("o1")), 2)


def test_the_share_is_not_spent_by_peers_who_keep_to_it():
    peer = says("p", author="bob", priority=-1)
    window = window_of(says("a"), says("b"), peer, peer_share=0.6, roles={"assistant": -5})
    assert ["b", "p"] == kept(window)


def test_what_stands_for_many_messages_leaves_after_all_others():
    summary = user("summary" + BODY, summary="h0000000000")
    window = window_of(summary, says("a", priority=9), says("b", priority=9))
    assert ["summary"] == kept(window, 2)


def test_a_pinned_message_stays_whatever_its_priority():
    window = window_of(says("a", pinned=True, priority=-9), says("b"), says("c"))
    assert ["a", "c"] == kept(window)


def test_a_newest_group_larger_than_the_window_does_not_cost_all_others():
    window = window_of(says("a"), says("b"), says("c"))
    window.append(assistant("line\n" * 4000))
    report = window.fit(1000)
    assert "clip" == report.operations[0].kind
    assert {"priority"} == {operation.strategy for operation in report.operations}
    assert 6 == len(window.view)
    assert window.view.tokens <= 1000


@pytest.mark.parametrize(
    "settings",
    [
        {"peer_share": 1.5},
        {"peer_share": -0.1},
        {"roles": {"robot": 1}},
        {"roles": {"user": "high"}},
        {"authors": {"bob": 0.5}},
        {"self_name": ""},
        {"share": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        Settings(**settings)
