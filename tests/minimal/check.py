"""What must work with the core alone: no extra, no plugin. Exits non-zero if it does not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys


def installed() -> set[str]:
    return {dist.name.lower() for dist in importlib.metadata.distributions()}


def check_environment() -> None:
    extra = {"typer", "rich", "massgen-local", "massgen-sliding-window"} & installed()
    assert not extra, f"not a minimal environment: {sorted(extra)}"
    found = importlib.util.find_spec("massgen_core")
    assert found is not None
    assert "site-packages" in str(found.origin), f"not the installed package: {found.origin}"


def check_fit() -> None:
    import massgen_core

    task = {"role": "user", "content": "Find the needle."}
    story = [{"role": "user", "content": f"Page {n}: hay, hay, hay."} for n in range(500)]
    fitted = massgen_core.fit([task, *story], budget=400)
    assert fitted.report.tokens_after <= 400 < fitted.report.tokens_before, fitted.report
    assert task in fitted.messages, "the task was lost"
    assert story[-1] in fitted.messages, "the newest message was lost"


def check_exactness() -> None:
    from massgen_core.tokens import ModelCatalogue, counter_for

    counter = counter_for(ModelCatalogue.shipped().get("gpt-4o"))
    assert counter.count_text("hello world") == (2, True), "the shipped ranks are not used"


def check_command_line() -> None:
    """Without typer and rich there is no command line, but there is a word about it."""
    command = [sys.executable, "-m", "massgen_core", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "massgen-core[cli]" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def main() -> None:
    for check in (check_environment, check_fit, check_exactness, check_command_line):
        check()
        print(f"ok  {check.__name__.removeprefix('check_').replace('_', ' ')}")


if __name__ == "__main__":
    main()
