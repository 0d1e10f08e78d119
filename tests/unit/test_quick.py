import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field

import pytest

from massgen_core._quick import quick


@dataclass(frozen=True, slots=True)
class Slow:
    name: str
    place: int = 3
    tags: list[str] = field(default_factory=list)


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    name: str
    place: int = 3
    tags: list[str] = field(default_factory=list)


@pytest.mark.parametrize("arguments", [("a",), ("a", 1), ("a", 1, ["x"])])
def test_it_is_filled_as_by_dataclasses(arguments):
    assert dataclasses.asdict(Slow(*arguments)) == dataclasses.asdict(Quick(*arguments))
    named = dict(zip(("name", "place", "tags"), arguments, strict=False))
    assert Quick(*arguments) == Quick(**named)


def test_a_made_default_is_made_each_time():
    assert Quick("a").tags is not Quick("a").tags


def test_its_signature_reads_the_same():
    assert str(inspect.signature(Slow)) == str(inspect.signature(Quick))


@pytest.mark.parametrize("make", [Quick, lambda: Quick("a", 1, [], 2), lambda: Quick(x=1)])
def test_wrong_arguments_are_refused(make):
    with pytest.raises(TypeError, match=r"Quick\.__init__\(\)"):
        make()


def test_it_stays_frozen():
    made = Quick("a")
    with pytest.raises(FrozenInstanceError):
        made.name = "b"


def test_it_is_copied_and_pickled():
    made = Quick("a", 1, ["x"])
    assert Quick("b", 1, ["x"]) == dataclasses.replace(made, name="b")
    assert made == pickle.loads(pickle.dumps(made))
