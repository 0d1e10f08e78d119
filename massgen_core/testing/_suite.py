"""What every conformance suite is made of: capabilities, and tests nobody replaces quietly."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

_Test = TypeVar("_Test", bound="Callable[..., object]")

_REQUIRES: Final = "__massgen_requires__"
_KIT: Final = "massgen_core.testing"


class Suite:
    """The base of the conformance suites; an author subclasses one of those.

    Attributes:
        capabilities: What the plugin does beyond the Protocol. A test that `requires` another
            capability is skipped.
        vocabulary: Capabilities the suite knows besides those its tests require.

    Examples:
        >>> class CounterSuite(Suite):
        ...     @requires("exact")
        ...     def test_an_exact_counter_says_so(self): ...
        >>> class TestMine(CounterSuite):
        ...     capabilities = frozenset({"exact"})
        >>> sorted(known_capabilities(TestMine))
        ['exact']
    """

    capabilities: ClassVar[frozenset[str]] = frozenset()
    vocabulary: ClassVar[frozenset[str]] = frozenset()

    @pytest.fixture(autouse=True)
    def _only_with_capability(self, request: pytest.FixtureRequest) -> None:
        missing = required(request.function) - self.capabilities
        if missing:
            pytest.skip(f"capability not declared: {', '.join(sorted(missing))}")


def requires(*capabilities: str) -> Callable[[_Test], _Test]:
    """A decorator: the test runs only if the subclass declares all these capabilities."""

    def mark(test: _Test) -> _Test:
        setattr(test, _REQUIRES, required(test) | frozenset(capabilities))
        return test

    return mark


def known_capabilities(suite: type[Suite]) -> frozenset[str]:
    """Every capability a subclass of the suite may declare."""
    tests = (value for base in suite.__mro__ for value in vars(base).values())
    needed = frozenset[str]().union(*map(required, tests))
    named = (vars(base).get("vocabulary", ()) for base in suite.__mro__)
    return needed.union(*named)


def check_capabilities(*, declared: Collection[str], seen: Collection[str]) -> None:
    """Nothing, if a plugin declares exactly the capabilities a suite saw in it.

    Raises:
        AssertionError: They differ; the text names the difference.
    """
    unproven = sorted(set(declared) - set(seen))
    undeclared = sorted(set(seen) - set(declared))
    complaints = [
        *(f"declares {name!r}, but the suite did not see it" for name in unproven),
        *(f"shows {name!r}, but does not declare it" for name in undeclared),
    ]
    assert not complaints, "the plugin " + "; ".join(complaints)


def complaints_about(suite: type[Suite]) -> tuple[str, ...]:
    """What is wrong with an author's subclass; asked by the pytest plugin at collection."""
    return (*_unknown_capabilities(suite), *_replaced_tests(suite))


def required(test: object) -> frozenset[str]:
    """The capabilities that a test `requires`."""
    found: frozenset[str] = getattr(test, _REQUIRES, frozenset())
    inner: object = getattr(getattr(test, "hypothesis", None), "inner_test", None)
    return found if inner is None else found | required(inner)  # `requires` below `given`


def _unknown_capabilities(suite: type[Suite]) -> Iterator[str]:
    declared: object = suite.capabilities
    if isinstance(declared, str):
        yield f"{suite.__name__}.capabilities must be a set of names, not a string"
        return
    known = known_capabilities(suite)
    for name in sorted(set(suite.capabilities) - known):
        close = difflib.get_close_matches(name, sorted(known), n=1)
        choices = ", ".join(sorted(known)) or "none"
        advice = f"did you mean {close[0]!r}?" if close else f"the suite knows: {choices}"
        yield f"{suite.__name__} declares the unknown capability {name!r}; {advice}"


def _replaced_tests(suite: type[Suite]) -> Iterator[str]:
    """Tests of the kit that a class below it replaces without saying that they fail."""
    own = [base for base in suite.__mro__ if not _is_kit(base)]
    kit = [base for base in suite.__mro__ if _is_kit(base)]
    for base in own:
        for name, value in vars(base).items():
            owner = next((each for each in kit if name in vars(each)), None)
            if owner is not None and name.startswith("test") and not _is_expected_failure(value):
                yield (
                    f"{base.__name__}.{name} replaces a test of {owner.__name__}; a test of a "
                    "conformance suite may only be overridden with "
                    "@pytest.mark.xfail(reason='why this plugin cannot pass it')"
                )


def _is_kit(base: type) -> bool:
    return base.__module__ == _KIT or base.__module__.startswith(f"{_KIT}.")


def _is_expected_failure(test: object) -> bool:
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
