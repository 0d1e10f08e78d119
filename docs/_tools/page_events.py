"""The page of all events, by group, from the dataclasses."""

from __future__ import annotations

import dataclasses
from typing import get_args

import docstrings

from massgen_core import events

HEAD = """\
# Events

What the engine tells while it works: `Agent.run` yields events, a backend's stream is made of them,
and the `massgen_observe` hook gets all of them. They are frozen dataclasses and a closed union,
`massgen_core.events.Event`; match on the type. Each has a `kind`, for logs and filters.
"""
GROUPS = {
    "Context": events.ContextEvent,
    "Memory": events.MemoryEvent,
    "Backend": events.BackendEvent,
    "Agent": events.AgentEvent,
    "Plugin": events.PluginEvent,
}


def fields(cls: type) -> str:
    said = dict(docstrings.parse(cls.__doc__).items("Attributes"))
    rows = [(field.name, field.type, said.get(field.name, "")) for field in dataclasses.fields(cls)]
    lines = [
        f"| `{name}` | `{kind}` | {text} |".replace(" | None`", " or None`")
        for name, kind, text in rows
    ]
    return "\n".join(["| field | type | |", "| --- | --- | --- |", *lines])


def entry(cls: type) -> str:
    lines = [f"### {cls.__name__}", ""]
    if kind := getattr(cls, "kind", None):
        lines += [f"kind `{kind}`", ""]
    return "\n".join([*lines, docstrings.parse(cls.__doc__).prose, "", fields(cls), ""])


def page() -> str:
    parts = [HEAD]
    for title, union in GROUPS.items():
        parts += [f"## {title}", "", *map(entry, get_args(union) or (union,))]
    return "\n".join([*parts, "## Parts of events", "", entry(events.Operation)])
