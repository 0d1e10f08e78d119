"""`mgc context fit`: what comes out, and what is said of bad input."""

from __future__ import annotations

import json

import pytest

from massgen_core import fit


def test_standard_output_is_the_fitted_array(mgc, story, messages):
    done = mgc("context", "fit", story, "--budget", 800)

    assert 0 == done.code
    assert fit(messages, budget=800).messages == json.loads(done.out)


def test_the_report_goes_to_standard_error(mgc, story, messages):
    report = fit(messages, budget=800).report

    err = mgc("context", "fit", story, "--budget", 800).err

    assert f"{report.tokens_before:,} → {report.tokens_after:,} tokens of 800" in err
    assert report.operations[0].handle in err


def test_quiet_leaves_standard_error_empty(mgc, story):
    assert "" == mgc("context", "fit", story, "--budget", 800, "-q").err


def test_the_envelope_holds_array_and_report(mgc, story, messages):
    envelope = mgc("context", "fit", story, "--budget", 800, "--json").envelope

    assert ["ok", "command", "data", "error"] == list(envelope)
    assert (True, "context fit", None) == (
        envelope["ok"],
        envelope["command"],
        envelope["error"],
    )
    assert fit(messages, budget=800).messages == envelope["data"]["messages"]
    [operation] = envelope["data"]["report"]["operations"]
    assert 2 == operation["messages"][0]
    assert sorted(operation["messages"]) == operation["messages"]


def test_a_dry_run_prints_the_report_of_the_real_run_only(mgc, story):
    real = mgc("context", "fit", story, "--budget", 800, "--json").envelope["data"]
    dry = mgc("context", "fit", story, "--budget", 800, "--json", "--dry-run").envelope["data"]

    assert {"report": real["report"]} == dry
    assert "tokens of 800" in mgc("context", "fit", story, "--budget", 800, "--dry-run").out


def test_messages_come_from_standard_input(mgc, messages):
    done = mgc("context", "fit", "-", "--budget", 800, stdin=json.dumps(messages[:1]))

    assert messages[:1] == json.loads(done.out)


def test_an_empty_list_stays_empty(mgc):
    done = mgc("context", "fit", "-", "--budget", 8, stdin="[]")

    assert (0, "[]\n") == (done.code, done.out)


def test_a_message_of_5_mb_is_fitted(mgc, folder, messages):
    file = folder / "big.json"
    file.write_text(json.dumps([*messages, {"role": "user", "content": "wide " * 1_000_000}]))

    done = mgc("context", "fit", file, "--budget", 1000, "--json")

    assert 0 == done.code
    assert 1_000_000 < done.envelope["data"]["report"]["tokens_before"]
    assert 1000 >= done.envelope["data"]["report"]["tokens_after"]


def test_text_that_utf_8_cannot_hold_survives(mgc):
    lone = '[{"role": "user", "content": "a \\ud800 b"}]'

    done = mgc("context", "fit", "-", "--budget", 100, stdin=lone)

    assert json.loads(lone) == json.loads(done.out)


def test_a_strategy_of_the_settings_keeps_its_settings(mgc, story):
    chosen = ("-c", "strategy.name=sliding_window", "-c", "strategy.keep_last_turns=2")
    given = ("context", "fit", story, "--budget", 100_000, "--json")

    by_settings = mgc(*given, *chosen).envelope["data"]["messages"]
    by_name = mgc(*given, *chosen, "--strategy", "sliding_window").envelope["data"]["messages"]

    assert by_settings == by_name
    assert 5 == len(by_settings)  # system, task, the last two turns


def test_settings_correct_the_catalogue(mgc, story):
    words = ("context", "fit", story, "--budget", 800, "--model", "house-1")

    assert 3 == mgc(*words).code
    assert 0 == mgc(*words, "-c", "models.house-1.window=4096").code


def test_global_options_stand_before_or_after_the_command(mgc, story):
    before = mgc("--json", "context", "fit", story, "--budget", 800)
    after = mgc("context", "fit", story, "--budget", 800, "--json")

    assert before.envelope == after.envelope


BAD_BUDGETS = {"0": 2, "-5": 2, "NaN": 2, "many": 2, "1.5": 2, "": 2, "1": 4}


@pytest.mark.parametrize(("budget", "code"), BAD_BUDGETS.items())
def test_a_budget_that_cannot_be_is_refused(mgc, story, budget, code):
    done = mgc("context", "fit", story, f"--budget={budget}")

    assert (code, "") == (done.code, done.out)
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


BAD_INPUT = {
    "empty": ("", "standard input is empty"),
    "blank": (" \n", "standard input is empty"),
    "not JSON": ('[{"role": "user",', "not JSON: line 1, column 18"),
    "NaN": ("[NaN]", "NaN is no JSON"),
    "an object": ('{"messages": []}', "is a JSON object, not an array"),
    "a string": ('"hello"', "is a JSON string, not an array"),
    "too deep": ("[" * 100_000, "not usable JSON"),
    "no UTF-8": (b'["\xff"]', "no UTF-8 text: byte 2 is 0xff"),
    "not a message": ('["hello"]', "message 0: expected an object with role and content"),
    "wrong role": ('[{"role": "robot", "content": "x"}]', "message 0: role 'robot' is none of"),
    "orphan result": (
        '[{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "a", "content": ""}]',
        "message 1: tool result 'a' answers no open call",
    ),
    "wrong content": ('[{"role": "user", "content": 5}]', "message 0: content is int"),
}


@pytest.mark.parametrize(("stdin", "words"), BAD_INPUT.values(), ids=list(BAD_INPUT))
def test_bad_input_is_named_with_its_place(mgc, stdin, words):
    done = mgc("context", "fit", "-", "--budget", "100", stdin=stdin)

    assert (2, "") == (done.code, done.out)
    assert words in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_read_is_named(mgc, name):
    done = mgc("context", "fit", name, "--budget", "100")

    assert 2 == done.code
    assert f"error: {name!r} cannot be read: " in done.err


def test_an_error_is_an_envelope_too(mgc):
    done = mgc("context", "fit", "-", "--budget", "100", "--json", stdin='[{"role": "robot"}]')

    assert 2 == done.code
    assert False is done.envelope["ok"]
    assert None is done.envelope["data"]
    error = done.envelope["error"]
    assert ("invalid-messages", 0) == (error["code"], error["index"])
    assert "OpenAI chat messages" in error["hint"]


def test_an_unknown_model_is_met_with_near_misses(mgc, story):
    done = mgc("context", "fit", story, "--budget", "100", "--model", "gpt-4oo", "--json")

    assert 3 == done.code
    assert "gpt-4o" in done.envelope["error"]["suggestions"]
    assert "models.gpt-4oo.window" in done.err


def test_an_unknown_strategy_is_met_with_a_near_miss(mgc, story):
    done = mgc("context", "fit", story, "--budget", "100", "--strategy", "sliding_windw")

    assert 3 == done.code
    assert "Did you mean 'sliding_window'" in done.err


def test_a_strategy_that_was_switched_off_is_denied(mgc, story):
    chosen = ("--strategy", "sliding_window", "-c", "plugins.deny=[massgen-sliding-window]")

    assert 6 == mgc("context", "fit", story, "--budget", "100", *chosen).code


def test_what_cannot_be_cut_ends_with_a_table(mgc):
    rules = json.dumps([{"role": "system", "content": "rule " * 500}])

    strict = ("-c", "context.clip_system=false")
    done = mgc("context", "fit", "-", "--budget", "20", "--json", *strict, stdin=rules)

    assert 4 == done.code
    error = done.envelope["error"]
    assert ("context-overflow", 20) == (error["code"], error["limit"])
    assert error["used"] == error["table"][0][1]
