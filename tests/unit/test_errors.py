"""Every error has a code, a hint and a place in the tree, and crosses a process boundary whole."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from massgen_core import errors
from massgen_core.errors import (
    ContextOverflowError,
    InvalidArgument,
    InvalidMessages,
    MassgenError,
    RateLimited,
    UnknownModel,
)

CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, MassgenError) and cls.__module__ == errors.__name__
]
SAMPLES = {
    "str": "some text",
    "int": 7,
    "int | None": 7,
    "float": 2.5,
    "float | None": 1.5,
    "Sequence[str]": ["a", "b"],
    "Sequence[tuple[str, int]]": [("system", 4), ("user", 3)],
}


def sample(cls):
    parameters = list(inspect.signature(cls).parameters.values())[1:]
    return cls("it broke", **{p.name: SAMPLES[p.annotation] for p in parameters})


def normal(value):
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_keeps_its_attributes_when_pickled_and_copied(cls):
    error = sample(cls)
    error.add_note("while testing")

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(error) is type(again)
        assert error.args == again.args
        assert vars(error) == vars(again)
        assert str(error) == str(again)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_parameter_is_an_attribute_of_the_same_name(cls):
    error = sample(cls)
    parameters = list(inspect.signature(cls).parameters.values())[1:]

    expected = {p.name: normal(SAMPLES[p.annotation]) for p in parameters}
    assert expected == {name: getattr(error, name) for name in expected}


@pytest.mark.parametrize("cls", CLASSES)
def test_every_attribute_is_described_in_the_docstring(cls):
    base = cls.__base__
    inherited = inspect.signature(base).parameters if base in CLASSES else {"message"}
    names = inspect.signature(cls).parameters.keys() - set(inherited)

    assert names <= set(re.findall(r"^ +(\w+): ", cls.__doc__, re.MULTILINE))


def test_codes_are_unique_and_belong_to_one_class_each():
    own = {cls: vars(cls).get("code") for cls in CLASSES}

    assert [] == [cls.__name__ for cls, code in own.items() if not code]
    assert len(own) == len(set(own.values()))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in own.values())


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = re.findall(r"^ {4}([│ ├└─]*)(\w+)(?: \(also \w+\))?$", errors.__doc__, re.MULTILINE)
    parents = {}
    path = []
    for indent, name in drawn:
        path = [*path[: len(indent) // 4], name]
        parents[name] = path[-2] if len(path) > 1 else "Exception"

    assert {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES} == parents


def every(cls):
    return [cls, *(error for below in cls.__subclasses__() for error in every(below))]


def test_every_error_is_public_and_says_so_in_a_traceback():
    ours = {cls for cls in every(MassgenError) if cls.__module__.startswith(errors.__name__)}

    assert {f"massgen_core.errors.{cls.__name__}" for cls in ours} == {
        f"{cls.__module__}.{cls.__qualname__}" for cls in ours
    }
    assert sorted(cls.__name__ for cls in ours) == errors.__all__


def test_the_text_is_the_message_and_below_it_the_hint():
    assert "it broke" == str(MassgenError("it broke"))
    assert "it broke\nmend it" == str(MassgenError("it broke", hint="mend it"))
    assert "it broke" == MassgenError("it broke", hint="mend it").message
    assert "" == MassgenError.__new__(MassgenError).message


def test_bad_arguments_are_value_errors_too():
    assert issubclass(InvalidArgument, ValueError)
    assert issubclass(InvalidMessages, ValueError)


def test_sequences_are_kept_as_tuples():
    assert ("gpt-4o",) == UnknownModel("?", model="gpt", suggestions=["gpt-4o"]).suggestions
    assert (("user", 9),) == ContextOverflowError("?", limit=1, used=9, table=[("user", 9)]).table


def test_the_cause_can_be_chained():
    cause = KeyError("x")
    with pytest.raises(RateLimited) as caught:
        raise RateLimited("slow down", retry_after=2.0) from cause

    assert cause is caught.value.__cause__
    assert 2.0 == caught.value.retry_after
