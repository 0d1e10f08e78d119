"""What tool pruning does; the conformance suite covers the rest."""

import json

import pytest
from pydantic import ValidationError

from massgen_core.context import ContextEngine, ContextWindow
from massgen_core.messages import Image, Message, Text, ToolCall, ToolResult, assistant, tool, user
from massgen_core.tokens import ModelCatalogue, counter_for
from massgen_tool_pruning.settings import Settings
from massgen_tool_pruning.strategy import ToolPruning

COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))


def window_with(**settings):
    return ContextWindow(ContextEngine([ToolPruning(Settings(**settings))], COUNTER, target=1.0))


def read(window, number, *, path=None, lines=80):
    call = ToolCall(f"c{number}", "read", json.dumps({"path": path or f"f{number}.py"}))
    window.append(assistant("", call))
    window.append(tool(call.id, "\n".join(f"{number} line {n} of it" for n in range(lines))))


def filled(reads, **settings):
    window = window_with(**settings)
    window.append(user("read them all"))
    for number in range(reads):
        read(window, number)
    return window


def test_nothing_leaves_and_the_newest_stay_verbatim():
    window = filled(20)
    said = window.view.messages
    report = window.fit(window.view.tokens * 9 // 10)
    assert len(window.view) == len(window.history)
    assert {operation.strategy for operation in report.operations} == {"tool_pruning"}
    assert window.view.messages[-12:] == said[-12:]
    assert window.view.messages[2] is not said[2]


def test_older_results_are_clipped_alike_by_the_largest_limit_that_is_enough():
    window = filled(20, keep_share=0.5)
    limit = window.view.tokens * 3 // 4
    report = window.fit(limit)
    clipped = [group.counts[1] for group in window.view if group.changed]
    assert max(clipped) - min(clipped) <= 30
    assert report.tokens_after > 0.8 * limit


def test_a_read_that_was_repeated_is_masked_before_anything_is_clipped():
    window = window_with(keep_share=0.3)
    window.append(user("read them all"))
    for number in range(10):
        read(window, number, path="same.py" if number in (1, 8) else None)
    window.fit(window.view.tokens - 400)
    assert [group.number for group in window.view if group.changed] == [2]
    assert "left out" in window.view[2].messages[1].results[0].text


def test_a_huge_new_result_is_clipped_before_it_is_sent_though_the_window_has_room():
    window = window_with(ingest_tokens=1000)
    window.append(user("read it"))
    read(window, 1, lines=2000)
    report = window.fit(100_000)
    assert [operation.reason for operation in report.operations] == [
        "a result too large to be let in"
    ]
    assert 400 < window.view[-1].counts[1] <= 520
    assert window.fit(100_000).operations == ()
    assert window.restore(report.operations[0].handle)[1] == window.history[-1].messages[1]


def test_old_screenshots_become_stubs():
    window = window_with(keep_share=0.3)
    window.append(user("look"))
    for number in range(6):
        window.append(assistant("", ToolCall(f"c{number}", "screenshot", f'{{"n": {number}}}')))
        picture = Image("image/png", b"\x89PNG", width=1024, height=1024)
        window.append(Message("tool", (ToolResult(f"c{number}", (picture, Text("home page"))),)))
    window.fit(window.view.tokens // 2)
    kinds = [m.results[0].content[0].kind for m in window.view.messages if m.role == "tool"]
    assert kinds[0] == "text"
    assert kinds[-1] == "image"


@pytest.mark.parametrize(
    "settings", [{"keep_share": 1.5}, {"least_tokens": 0}, {"ingest_tokens": -1}, {"share": 0.1}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        Settings(**settings)
