"""The main job, for real: a local model outgrows its window, is killed, and goes on.

    python tests/demo/demo.py

A 135M-parameter model with a window of 2,048 tokens reads a transcript of a coding agent that is
several times longer, piece by piece. In the middle of an answer the process is killed with SIGKILL;
a second process resumes the session and finishes. The exit status is 1 if anything was lost or an
overflow reached the user.

`transcript.txt` is an excerpt of a session of the pi coding agent (MIT, see LICENSE-transcript).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_core.app import App
from massgen_core.context import handle_of
from massgen_core.errors import ContextOverflow, ContextOverflowError
from massgen_core.events import (
    ContextFitted,
    MessageAppended,
    OverflowReported,
    SessionResumed,
    TextDelta,
    TurnFinished,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_core.agents import Agent
    from massgen_core.sessions import Entry, Session

PIECES = (Path(__file__).parent / "transcript.txt").read_text("utf-8").strip().split("\n\f\n")
WINDOW = 2048
KILL_IN_TURN = len(PIECES) // 2
SESSION = "demo"
OVERFLOWN = 4
SETTINGS = (
    "backend.name=local",
    f"backend.window={WINDOW}",
    "strategy.name=sliding_window",
    "context.output_reserve=32",
    "context.target_ratio=0.4",
    "agent.instructions=You read a log of a coding agent. Answer in one short sentence.",
)


async def worker(folder: Path) -> None:
    """One process: resumes the session if there is one, and reads on; a JSON line per happening."""
    async with App.load(overrides=SETTINGS, env={}, cwd=folder, path=folder) as app:
        store, agent = await app.store(), await app.agent()
        async with await store.open_session(SESSION, create=True) as session:
            read = sum(is_question(entry) for entry in session.entries)
            unanswered = bool(session.entries) and not is_answered(session.entries)
            if unanswered:
                await turn(app, agent, session, read, None)
            for number, piece in enumerate(PIECES[read:], read + 1):
                await turn(
                    app, agent, session, number, f"Piece {number}:\n{piece}\n\nWhat is it about?"
                )


def is_question(entry: Entry) -> bool:
    return entry.kind == "message" and entry.message.role == "user"


def is_answered(entries: tuple[Entry, ...]) -> bool:
    return [entry.message.role for entry in entries if entry.kind == "message"][-1] == "assistant"


async def turn(app: App, agent: Agent, session: Session, number: int, said: str | None) -> None:
    deltas = 0
    async with aclosing(app.run(agent, session, said)) as events:
        async for event in events:
            match event:
                case SessionResumed():
                    tell("resumed", entries=event.entries)
                case MessageAppended():
                    tell("appended", seq=event.seq)
                case ContextFitted():
                    tell(
                        "fitted",
                        turn=number,
                        before=event.tokens_before,
                        after=event.tokens_after,
                        operations=[
                            (o.kind, len(o.message_ids), o.handle) for o in event.operations
                        ],
                    )
                case OverflowReported():
                    tell("overflow", attempt=event.attempt)
                case TextDelta():
                    deltas += 1
                    if deltas == 3:
                        tell("speaking", turn=number)
                case TurnFinished():
                    usage = event.usage
                    tell(
                        "answered",
                        turn=number,
                        text=event.text,
                        prompt=usage.prompt,
                        cached=usage.cached,
                    )


def tell(what: str, **facts: Any) -> None:
    print(json.dumps({"what": what, **facts}), flush=True)


def watch(folder: Path, *, kill: bool) -> Iterator[dict[str, Any]]:
    """What a worker process tells; with `kill` it is killed in the middle of an answer."""
    command = [sys.executable, __file__, "--worker", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            fact = json.loads(line)
            yield fact
            if kill and fact["what"] == "speaking" and fact["turn"] == KILL_IN_TURN:
                process.send_signal(signal.SIGKILL)
                break
    if process.returncode not in ((-signal.SIGKILL,) if kill else (0, OVERFLOWN)):
        sys.exit(f"the worker ended with status {process.returncode}")


def show(fact: dict[str, Any]) -> None:
    match fact["what"]:
        case "answered":
            text = " ".join(fact["text"].split())[:90]
            print(
                f"  {fact['turn']:2d}  prompt {fact['prompt']:4d} ({fact['cached']} cached)  {text}"
            )
        case "fitted":
            print(f"  {fact['turn']:2d}  window full: {fact['before']} → {fact['after']} tokens")
            for kind, messages, handle in fact["operations"]:
                print(f"        {kind}: {messages} messages; restore with {handle}")
        case "overflow":
            print("      the model's server said the request is too long; fitted again")
        case "overflow_error":
            print(f"      an overflow reached the user: {fact['text']}")
        case "resumed":
            print(f"  resumed with {fact['entries']} entries")


async def entries(folder: Path) -> list[Entry]:
    async with App.load(overrides=SETTINGS, env={}, cwd=folder, path=folder) as app:
        return await (await app.store()).read(SESSION)


async def verified(folder: Path) -> bool:
    async with App.load(overrides=SETTINGS, env={}, cwd=folder, path=folder) as app:
        return (await (await app.store()).verify(SESSION)).ok


def restorable(journal: list[Entry]) -> bool:
    """Whether each handle told names messages that are in the journal, byte by byte."""
    said = {entry.message.id: entry.message for entry in journal if entry.kind == "message"}
    operations = [o for entry in journal if entry.kind == "fit" for o in entry.body["operations"]]
    return all(
        set(operation["message_ids"]) <= said.keys()
        and handle_of(operation["message_ids"]) == operation["handle"]
        for operation in operations
    )


def run(folder: Path) -> int:
    started = time.monotonic()
    facts: list[dict[str, Any]] = []
    print(
        f"{len(PIECES)} pieces of a transcript, a window of {WINDOW} tokens, a real local model.\n"
    )
    for fact in watch(folder, kill=True):
        facts.append(fact)
        show(fact)
    before = asyncio.run(entries(folder))
    print(f"\n  killed with SIGKILL in answer {KILL_IN_TURN}; {len(before)} entries are on disk\n")
    for fact in watch(folder, kill=False):
        facts.append(fact)
        show(fact)
    after = asyncio.run(entries(folder))
    return report(facts, before, after, folder, time.monotonic() - started)


def report(
    facts: list[dict[str, Any]],
    before: list[Entry],
    after: list[Entry],
    folder: Path,
    seconds: float,
) -> int:
    answered = [fact for fact in facts if fact["what"] == "answered"]
    fits = [fact for fact in facts if fact["what"] == "fitted"]
    seen = sum(entry.tokens for entry in after if entry.kind == "message")
    largest = max(entry.body.get("prompt", 0) for entry in after if entry.kind == "usage")
    acknowledged = max(
        fact["seq"] for fact in facts[: killed_after(facts)] if fact["what"] == "appended"
    )
    kept = [entry.id for entry in before] == [entry.id for entry in after[: len(before)]]
    found = len({entry.id for entry in before} & {entry.id for entry in after})
    overflows = sum(fact["what"] == "overflow_error" for fact in facts)
    checks = {
        "no overflow reached the user": overflows == 0,
        "every piece answered": len(answered) == len(PIECES),
        "the window was fitted": len(fits) > 0,
        "tokens far beyond the window": seen > 2 * WINDOW,
        "largest request within the window": 0 < largest <= WINDOW,
        "no acknowledged entry lost": acknowledged <= len(before) and kept,
        "the journal verifies": asyncio.run(verified(folder)),
        "all that left can be restored": restorable(after),
    }
    table = {
        "turns": len(answered),
        "fits": len(fits),
        "tokens seen / window": f"{seen} / {WINDOW}",
        "largest request, tokens": largest,
        "overflow errors reaching the user": overflows,
        "entries before kill / found after": f"{len(before)} / {found}",
        "entries at the end": len(after),
        "seconds": round(seconds),
    }
    print()
    for name, value in table.items():
        print(f"  {name:36s}{value}")
    print()
    for name, fine in checks.items():
        print(f"  {'ok' if fine else 'FAILED':8s}{name}")
    return 0 if all(checks.values()) else 1


def killed_after(facts: list[dict[str, Any]]) -> int:
    """How many of the facts the first process told."""
    return next(n for n, fact in enumerate(facts) if fact["what"] == "resumed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        try:
            asyncio.run(worker(args.worker))
        except (ContextOverflow, ContextOverflowError) as exc:
            tell("overflow_error", text=str(exc))
            return OVERFLOWN
        return 0
    with tempfile.TemporaryDirectory(prefix="massgen-demo-") as folder:
        return run(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
