"""`mgc memory work` and `consolidate`; what `mgc run` learns from a turn."""

from __future__ import annotations

import pytest

ADA = ("--scope", "user=ada")
LEARNS = ("-c", "memory.extraction.enabled=true")


@pytest.fixture
def model(scripted, folder):
    """What the model says that extraction asks."""
    del scripted
    said = folder / "facts"
    said.write_text(
        '{"memories": [{"kind": "fact", "text": "The cat is called Miau.", "from": ["m1"]}]}'
    )
    (folder / "summary").write_text('{"summary": "They talked about a cat."}')
    return said


def facts(mgc):
    found = mgc("memory", "timeline", *ADA, "--kind", "fact", "--json")
    return [one["text"] for one in found.envelope["data"]]


@pytest.mark.usefixtures("model")
def test_messages_wait_until_work_lets_the_model_learn(mgc):
    mgc("memory", "add", "My cat is Miau.", *ADA, *LEARNS)
    would = mgc("memory", "work", "--dry-run", "--json").envelope["data"]
    assert {"shown": 0, "waiting": {"due": 1, "later": 0, "given_up": 0}} == would
    assert [] == facts(mgc)

    done = mgc("memory", "work", *LEARNS)
    assert (0, "1 messages shown; 0 wait, 0 are tried later, 0 given up\n") == (done.code, done.out)
    assert ["The cat is called Miau."] == facts(mgc)


def test_a_model_that_fails_is_told_and_work_can_be_done_again(mgc, model):
    good = model.read_text()
    model.write_text("I would rather not.")
    mgc("memory", "add", "My cat is Miau.", *ADA, *LEARNS)

    failed = mgc("memory", "work", *LEARNS, "--json")
    assert (1, "extraction-failed") == (failed.code, failed.envelope["error"]["code"])
    assert "I would rather not." in failed.err
    assert {"due": 0, "later": 1, "given_up": 0} == failed.envelope["data"]["waiting"]
    model.write_text(good)
    assert 0 == mgc("memory", "work", *LEARNS, "--json").envelope["data"]["shown"]
    assert 1 == mgc("memory", "work", *LEARNS, "--again", "--json").envelope["data"]["shown"]
    assert ["The cat is called Miau."] == facts(mgc)


def test_without_extraction_in_the_settings_work_says_what_to_set(mgc):
    done = mgc("memory", "work")
    assert 2 == done.code
    assert "memory.extraction.enabled" in done.err


@pytest.mark.usefixtures("model")
def test_a_backend_that_is_not_there_costs_no_other_command(mgc):
    nobody = (*LEARNS, "-c", "memory.extraction.backend.name=nobody")
    assert 0 == mgc("memory", "add", "My cat is Miau.", *ADA, *nobody).code
    done = mgc("memory", "work", *nobody)
    assert 1 == done.code
    assert "nobody" in done.err


@pytest.mark.usefixtures("model")
def test_run_learns_from_its_turn_before_it_ends(mgc):
    remembers = ("-c", "memory.enabled=true", "-c", "memory.scope={user: ada}")
    done = mgc("run", "My cat is Miau.", *remembers, *LEARNS, "-c", "backend.window=100000")

    assert 0 == done.code
    assert ["The cat is called Miau."] == facts(mgc)


def test_run_tells_what_could_not_be_learnt(mgc, model):
    model.write_text("no")
    remembers = ("-c", "memory.enabled=true", "-c", "memory.scope={user: ada}")
    done = mgc("run", "My cat is Miau.", *remembers, *LEARNS, "--json")

    assert 0 == done.code
    (told, *_) = [one for one in done.envelope["events"] if "extractor" == one.get("name")]
    assert "ExtractionFailed" in told["reason"]


def test_consolidate_merges_what_is_said_twice(mgc):
    for text in ("The cat is called Miau.", "the cat is called miau"):
        mgc("memory", "add", text, *ADA, "--kind", "fact")
    would = mgc("memory", "consolidate", *ADA, "--dry-run", "--json").envelope["data"]
    assert (2, [], True) == (len(would["superseded"]), would["merged"], would["dry_run"])

    done = mgc("memory", "consolidate", *ADA, "--json").envelope["data"]
    assert would["superseded"] == done["superseded"]
    (merged,) = done["merged"]
    mgc("memory", "undo", merged)
    assert would == mgc("memory", "consolidate", *ADA, "--dry-run", "--json").envelope["data"]


@pytest.mark.usefixtures("model")
def test_consolidate_sums_old_messages_up(mgc):
    for number in range(4):
        mgc("memory", "add", f"Thought {number} about the cat.", *ADA, "--when", "2020-01-01")
    summing = ("memory", "consolidate", *ADA, "--summaries", "--json")
    assert 1 == mgc(*summing, "--dry-run").envelope["data"]["portions"]
    done = mgc(*summing).envelope["data"]
    assert 1 == len(done["summaries"])
    assert "They talked about a cat." in mgc("memory", "show", done["summaries"][0]).out


@pytest.mark.usefixtures("scripted")
def test_what_is_forgotten_is_shown_as_erased_in_its_session(mgc, folder):
    remembers = ("-c", "memory.enabled=true", "-c", "memory.scope={user: ada}")
    mgc("run", "The alarm code is Zyzzyva-4711.", "--session", "s", *remembers)
    records = mgc("memory", "timeline", *ADA, "--json").envelope["data"]
    question, answer = [one["id"] for one in records]

    would = mgc("memory", "forget", question, "--dry-run", "--json").envelope["data"]
    assert (["s"], ["s#2"]) == (would["sessions"], would["mentions"])
    assert "session entry s#" in mgc("memory", "forget", question, "--yes").err
    assert "[erased]" in mgc("session", "show", "s").out
    mgc("memory", "forget", answer, "--yes")
    assert 0 == mgc("session", "verify").code
    assert 0 == mgc("memory", "verify").code
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert not [one.name for one in files if b"Zyzzyva" in one.read_bytes()]
    done = mgc("run", "And now?", "--session", "s", *remembers)
    assert "You said: And now?" in done.out
    assert 0 == mgc("memory", "compact").code
