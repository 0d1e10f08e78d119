"""`mgc context explain --turn`, the gauge, `mgc context show` and `diff`."""

from __future__ import annotations

import pytest


@pytest.fixture
def fitted(mgc, scripted):
    """A session of four turns that was fitted."""
    settings = ("-c", "backend.window=700", "-c", "strategy.name=sliding_window")
    for number in range(4):
        task = f"{number} " + "tell me " * 60
        mgc("run", task, "--session", "s", *settings, "-q")
    return mgc("session", "show", "s", "--last", 0, "--json").envelope["data"]["newest"]


def explained(mgc, *words):
    return mgc("context", "explain", "s", *words, "--json").envelope["data"]["groups"]


def test_a_turn_is_explained_as_it_was_at_its_end(mgc, fitted):
    assert [2, 4, 6, 8] == [len(explained(mgc, "--turn", n)) for n in (1, 2, 3, 4)]
    assert explained(mgc) == explained(mgc, "--turn", 4)
    first = explained(mgc, "--turn", 1)
    assert {"in view"} == {group["fate"] for group in first}
    assert first[0]["text"] == explained(mgc)[0]["text"]


@pytest.mark.parametrize("turn", [0, -1, 5])
@pytest.mark.parametrize("word", ["explain", "diff"])
@pytest.mark.usefixtures("fitted")
def test_a_turn_that_is_not_there_is_refused(mgc, word, turn):
    done = mgc("context", word, "s", "--turn", turn)

    assert 2 == done.code
    assert f"there is no turn {turn}: the session has 4" in done.err


@pytest.mark.usefixtures("fitted")
def test_the_gauge_says_what_the_window_is_used_for(mgc):
    data = mgc("context", "explain", "s", "--json").envelope["data"]
    usage, groups = data["usage"], data["groups"]

    assert {"messages"} == {group["segment"] for group in groups}
    seen = sum(group["tokens_in_view"] for group in groups)
    assert 1 <= usage["messages"] / seen < 1.2, "the provider may count somewhat more"
    assert (700, 175) == (usage["window"], usage["reserve"])
    shared_out = usage["messages"] + usage["free"] + usage["reserve"]
    assert shared_out in range(684, 687), "2 % are kept against miscounts"
    err = mgc("context", "explain", "s").err
    assert f"messages {usage['messages']:,}), {usage['free']:,} free, 175 kept" in err


@pytest.mark.usefixtures("scripted")
def test_the_gauge_tells_tools_from_instructions(mgc, folder):
    (folder / "shed.py").write_text("def rake(width: int) -> str:\n    'Rakes.'\n    return 'ok'\n")
    said = ("-q", "-c", "agent.instructions=Be brief and kind.")
    mgc("run", "hello", "--session", "bare", *said)
    mgc("run", "hello", "--session", "tools", *said, "--tool", "shed:rake")

    bare, tools = (
        mgc("context", "show", name, "--json").envelope["data"]["usage"]
        for name in ("bare", "tools")
    )

    assert 5 < bare["system"] == tools["system"] < 20
    assert 0 == bare["tools"] < tools["tools"]
    assert bare["free"] - tools["free"] == tools["tools"]


@pytest.mark.usefixtures("fitted")
def test_a_turn_ends_with_the_gauge_that_show_tells_afterwards(mgc):
    settings = ("-c", "backend.window=700", "-c", "strategy.name=sliding_window")
    told = mgc("run", "And then?", "--session", "s", *settings, "--json").envelope["events"][-2]
    now = mgc("context", "show", "s", "--json").envelope["data"]["usage"]

    assert "context.measured" == told["kind"]
    assert now == told
    assert f"context: about {now['messages']:,} tokens used" in mgc("context", "explain", "s").err


@pytest.mark.usefixtures("fitted")
def test_show_is_a_table_for_people(mgc):
    done = mgc("context", "show", "s")

    assert ["used for", "system", "tools", "memory", "summary", "messages", "free"] == [
        line.split("  ")[0] for line in done.out.splitlines()
    ][:7]
    assert "100.0%" in done.out
    assert "fits so far: " in done.err


def test_the_diff_is_that_of_the_last_fit(mgc, fitted):
    fits = [entry for entry in fitted if entry["kind"] == "fit"]

    data = mgc("context", "diff", "s", "--json").envelope["data"]

    assert len(fits) == data["fit"] >= 1
    assert fits[-1]["body"]["tokens_before"] == data["tokens_before"]
    assert 0 < data["cache_cost"] < data["tokens_after"], "the task is before the first change"
    lost = sum(change["tokens_before"] - change["tokens_after"] for change in data["changes"])
    assert data["tokens_before"] - data["tokens_after"] == lost > 0
    for change in data["changes"]:
        assert ("drop", "sliding_window", "") == (
            change["what"],
            change["strategy"],
            change["after"],
        )
        assert change["before"]


def test_the_diff_of_an_earlier_turn_is_that_of_its_fit(mgc, fitted):
    numbers = [
        (mgc("context", "diff", "s", "--turn", n, "--json").envelope["data"] or {"fit": 0})["fit"]
        for n in (1, 2, 3, 4)
    ]

    assert 0 == numbers[0]
    assert numbers == sorted(numbers)
    assert numbers[-1] == sum(entry["kind"] == "fit" for entry in fitted)


@pytest.mark.usefixtures("fitted")
def test_people_get_a_table_with_handles(mgc):
    [change, *_] = mgc("context", "diff", "s", "--json").envelope["data"]["changes"]
    done = mgc("context", "diff", "s")

    assert change["handle"] in done.out
    assert "tokens of" in done.err
    assert 0 == mgc("context", "restore", "s", change["handle"]).code


@pytest.mark.usefixtures("scripted")
def test_nothing_fitted_is_said(mgc):
    mgc("run", "hello", "--session", "s", "-q")
    done = mgc("context", "diff", "s")

    assert (0, "") == (done.code, done.out)
    assert "nothing was fitted" in done.err
