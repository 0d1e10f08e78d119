"""Events are a closed union of frozen dataclasses with unique kinds."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pickle
import pkgutil
from typing import get_args

import pytest

from massgen_core import events
from massgen_core.events import Event, Finished, Operation, TextDelta, Usage

GROUPS = {
    "context": events.ContextEvent,
    "memory": events.MemoryEvent,
    "backend": events.BackendEvent,
    "agent": events.AgentEvent,
    "plugin": events.PluginEvent,
}
CLASSES = get_args(Event)


def modules():
    names = (found.name for found in pkgutil.iter_modules(events.__path__, f"{events.__name__}."))
    return [events, *map(importlib.import_module, names)]


def test_the_union_holds_every_event_of_the_package_and_all_are_public():
    defined = {
        cls
        for module in modules()
        for _, cls in inspect.getmembers(module, dataclasses.is_dataclass)
        if cls.__module__ == module.__name__
    }

    assert defined - {Operation} == set(CLASSES)
    assert defined <= {getattr(events, name) for name in events.__all__}


def test_a_kind_names_its_group_and_nothing_else_has_it():
    kinds = [cls.kind for cls in CLASSES]

    assert len(kinds) == len(set(kinds))
    for group, union in GROUPS.items():
        members = get_args(union) or (union,)
        assert {group} == {cls.kind.split(".")[0] for cls in members}


@pytest.mark.parametrize("cls", CLASSES)
def test_an_event_cannot_be_changed_and_says_what_it_tells(cls):
    assert cls.__dataclass_params__.frozen
    assert "__slots__" in vars(cls)
    assert cls.__doc__
    assert not cls.__doc__.startswith(f"{cls.__name__}(")


def test_events_compare_by_value_and_cross_process_boundaries():
    usage = Usage(prompt=10, completion=2)

    assert Usage(10, 2, cached=0, reasoning=0) == usage
    assert usage == pickle.loads(pickle.dumps(usage))


def test_events_are_matched_by_type():
    def told(event: Event) -> str:
        match event:
            case TextDelta(text):
                return text
            case Finished(reason):
                return f"[{reason}]"
            case _:
                return "?"

    assert "hi[stop]?" == "".join(map(told, [TextDelta("hi"), Finished("stop"), Usage(1, 1)]))
