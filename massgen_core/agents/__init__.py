"""Agents: a model with tools that works on a session, however long it gets."""

from massgen_core.agents._agent import Agent, Fallback
from massgen_core.agents._longterm import LongTerm
from massgen_core.agents._spent import Spent, spent
from massgen_core.agents._tools import Function, Tool, ToolProvider

__all__ = ["Agent", "Fallback", "Function", "LongTerm", "Spent", "Tool", "ToolProvider", "spent"]
