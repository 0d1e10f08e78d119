from dataclasses import fields, replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.errors import InvalidArgument
from massgen_core.memory import MemoryRecord, NewMemory, Scope
from massgen_core.memory._record import (
    body_of,
    changed,
    content_hash,
    digest_of,
    moment_of,
    record_from,
)
from massgen_core.messages import with_pairs_joined

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)  # lone surrogates and NUL among them
TEXTS = ANY_TEXT.map(with_pairs_joined)
NAMES = st.text(max_size=10)
TIMES = st.none() | st.floats(-62e9, 253e9)
SHARES = st.floats(0, 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def memories(draw):
    return NewMemory(
        text=draw(ANY_TEXT),
        scope=Scope(*draw(st.tuples(*[NAMES] * 6))),
        kind=draw(st.sampled_from(["message", "fact", "preference", "summary"])),
        speaker=draw(TEXTS),
        session_no=draw(st.none() | st.integers(-5, 5)),
        turn_no=draw(st.none() | st.integers(-5, 5)),
        event_time=draw(TIMES),
        valid_from=draw(TIMES),
        valid_to=draw(TIMES),
        expires_at=draw(TIMES),
        importance=draw(SHARES),
        confidence=draw(SHARES),
        trust=draw(SHARES),
        pinned=draw(st.booleans()),
        tags=tuple(draw(st.lists(TEXTS, max_size=3))),
        meta=draw(st.dictionaries(TEXTS, JSON, max_size=3)),
        source_ids=tuple(draw(st.lists(NAMES, max_size=2))),
        supersedes=tuple(draw(st.lists(NAMES, max_size=2))),
        producer=draw(NAMES),
        owner=draw(NAMES),
        visibility=draw(st.sampled_from(["scope", "private"])),
    )


def recorded(new, **more):
    given_ = {each.name: getattr(new, each.name) for each in fields(NewMemory)}
    return MemoryRecord(**{**given_, "id": "r1", "recorded_at": 5.0, **more})


@given(memories())
def test_a_record_comes_back_from_disk_as_it_was(new):
    record = recorded(new)
    body = body_of(record)
    digest = digest_of(body, record.text)
    back = record_from(body, record.text, seq=7, rev=3, digest=digest)
    hashes = {"content_hash": content_hash(record.text).hex(), "sha256": digest.hex()}
    assert replace(record, seq=7, rev=3, **hashes) == back


@given(memories())
def test_the_form_on_disk_is_canonical(new):
    record = recorded(new)
    back = record_from(body_of(record), record.text, seq=0, rev=1, digest=b"")
    assert body_of(record) == body_of(back)
    assert body_of(record).isascii()


def test_scopes_cover_what_is_narrower():
    ada = Scope(user="ada")
    assert ada.covers(Scope(user="ada", session="s1"))
    assert Scope().covers(ada)
    assert not ada.covers(Scope(user="Ada"))
    assert not Scope(user="ada", session="s1").covers(ada)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "Two Words"),
        ("importance", 1.5),
        ("importance", True),
        ("trust", float("nan")),
        ("expires_at", float("inf")),
        ("expires_at", "yesterday"),
        ("session_no", 1.5),
        ("turn_no", 1 << 70),
        ("pinned", 1),
        ("visibility", "public"),
        ("id", "no blanks"),
        ("id", ""),
        ("tags", "one"),
        ("tags", [1]),
        ("speaker", 3),
        ("colour", "red"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(field, value):
    with pytest.raises(InvalidArgument, match=field):
        NewMemory.of("text", scope={}, **{field: value})


@pytest.mark.parametrize("field", ["tags", "source_ids", "supersedes"])
def test_texts_are_any_list_of_them_and_nothing_else(field):
    for texts in (["a", "b"], ("a", "b"), iter(["a", "b"])):
        assert ("a", "b") == getattr(NewMemory.of("text", scope={}, **{field: texts}), field)
    for wrong in (5, b"ab", "ab", [None]):
        with pytest.raises(InvalidArgument, match=f"{field} is .* expected a list of texts"):
            NewMemory.of("text", scope={}, **{field: wrong})
        with pytest.raises(InvalidArgument, match=f"{field} is .* expected a list of texts"):
            NewMemory(text="text", scope=Scope(), **{field: wrong})


@pytest.mark.parametrize("scope", ["ada", {"usr": "ada"}, {"user": 3}, {"user": "\ud800"}])
def test_a_scope_that_cannot_be_used_is_refused(scope):
    with pytest.raises(InvalidArgument, match="scope"):
        NewMemory.of("text", scope=scope)


def test_meta_that_is_no_json_is_refused():
    record = recorded(NewMemory.of("text", scope={}, meta={"x": {1, 2}}))
    with pytest.raises(InvalidArgument, match="meta"):
        body_of(record)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12, 12.0),
        (1.5, 1.5),
        ("1970-01-01T00:01:00+00:00", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-02", 86400.0),
        ("19700102", 86400.0),
        ("1700000000", 1.7e9),
        ("17121215012", 17121215012.0),
        ("1700000000.5", 1700000000.5),
        ("-86400", -86400.0),
        (date(1970, 1, 2), 86400.0),
        (datetime(1970, 1, 1, 0, 1, tzinfo=UTC), 60.0),
        (datetime(1970, 1, 1, 0, 1), 60.0),  # noqa: DTZ001 - without a zone UTC is meant
    ],
)
def test_moments_in_any_form(value, expected):
    assert expected == moment_of(value)


@pytest.mark.parametrize(
    "value", [True, "soon", None, [1], "99999999999999", "2026", "1e9", "1712121512123", "1" * 400]
)
def test_what_is_no_moment_is_refused(value):
    with pytest.raises(InvalidArgument, match="time"):
        moment_of(value)


@pytest.mark.parametrize(
    "value",
    [
        "9999-12-31T23:59:59-12:00",
        "0001-01-01",
        date(1, 1, 1),
        1e30,
        -1e20,
        10**400,
        1.7e15,
        float("nan"),
    ],
)
@pytest.mark.parametrize("field", ["event_time", "valid_from", "valid_to", "expires_at"])
def test_a_time_that_no_calendar_can_show_is_refused(field, value):
    with pytest.raises(InvalidArgument, match=field):
        NewMemory.of("text", scope={}, **{field: value})


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59.999Z", "0001-01-02"])
def test_the_last_time_and_the_first_one_can_be_shown(value):
    shown = datetime.fromtimestamp(moment_of(value), UTC)
    assert datetime.fromisoformat(value).timestamp() == pytest.approx(shown.timestamp())


def test_a_memory_whose_time_no_calendar_can_show_can_be_changed():
    record = recorded(NewMemory.of("old", scope={}), event_time=1e30)
    assert replace(record, text="new") == changed(record, {"text": "new"})
    assert replace(record, event_time=None) == changed(record, {"event_time": None})


def test_changing_keeps_the_rest_and_none_means_default():
    record = recorded(NewMemory.of("old", scope={"user": "ada"}, tags=["a"], importance=0.9), rev=4)
    new = changed(record, {"text": "new", "importance": None})
    assert replace(record, text="new", importance=0.5) == new


def test_what_cannot_be_changed_is_named():
    with pytest.raises(InvalidArgument, match="id"):
        changed(recorded(NewMemory.of("x", scope={})), {"id": "other"})


def test_a_record_is_current_between_its_dates():
    record = recorded(NewMemory.of("x", scope={}, valid_from=10, valid_to=20, expires_at=30))
    assert [False, True, False] == [record.current(now) for now in (9, 10, 20)]
    assert not replace(record, valid_to=None).current(30)
    assert not replace(record, state="superseded").current(15)
