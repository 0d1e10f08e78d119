"""What is logged, how it looks, and what never is."""

import asyncio
import io
import json
import logging
import subprocess
import sys

import pytest
import structlog
from pydantic import SecretStr

from massgen_core.logs import bound, configure_logging, logger

HORSE = "correct-horse-battery"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def untouched_logging():
    """The process's logging as it was, whatever a test configures."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_off_a_terminal_every_line_is_json():
    stream = io.StringIO()
    configure_logging("info", "auto", stream)
    logger("massgen_core.context").info("fitted", before=9000)
    (line,) = lines(stream)
    timestamp = line.pop("timestamp")
    assert timestamp.endswith("Z")
    assert {
        "event": "fitted",
        "before": 9000,
        "level": "info",
        "logger": "massgen_core.context",
    } == line


def test_on_a_terminal_lines_are_for_people_and_coloured(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    configure_logging(stream=stream)
    logger("massgen_core").info("fitted", before=9000)
    assert "fitted" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_refused(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    stream = Terminal()
    configure_logging(stream=stream)
    logger("massgen_core").info("fitted", before=9000)
    assert "before=9000" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_the_format_can_be_forced():
    stream, terminal = io.StringIO(), Terminal()
    configure_logging("info", "human", stream)
    logger("massgen_core").info("fitted", before=9000)
    assert "before=9000" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    configure_logging("info", "json", terminal)
    logger("massgen_core").info("fitted", before=9000)
    assert 9000 == lines(terminal)[0]["before"]


def test_configuring_twice_writes_each_line_once_and_only_to_the_last_stream():
    first, second = io.StringIO(), io.StringIO()
    configure_logging("info", "json", first)
    configure_logging("info", "json", second)
    configure_logging("info", "json", second)
    logging.getLogger("massgen_core").info("once")
    assert "" == first.getvalue()
    assert ["once"] == [line["event"] for line in lines(second)]


def test_our_loggers_follow_the_level_and_others_are_heard_from_warnings_up():
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    logging.getLogger("massgen_local").debug("ours")
    logging.getLogger("httpx").info("chatter")
    logging.getLogger("httpx").warning("trouble")
    assert ["ours", "trouble"] == [line["event"] for line in lines(stream)]
    configure_logging("error", "json", stream)
    logging.getLogger("massgen_core").warning("hidden")
    logging.getLogger("httpx").warning("hidden")
    logging.getLogger("httpx").error("shown")
    assert "shown" == lines(stream)[-1]["event"]
    assert "hidden" not in stream.getvalue()


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="loud"):
        configure_logging("loud", "json", io.StringIO())


def test_bound_ids_are_on_every_line_inside_whoever_logs():
    stream = io.StringIO()
    configure_logging("info", "json", stream)

    async def agent(name):
        with bound(agent=name):
            await asyncio.sleep(0)
            logging.getLogger("massgen_core").info("from the standard library")
            logger("massgen_core").info("from ours")

    async def team():
        with bound(request="r1", session="s1"):
            await asyncio.gather(agent("a"), agent("b"))

    asyncio.run(team())
    logger("massgen_core").info("outside")
    *inside, outside = lines(stream)
    found = sorted((line["request"], line["session"], line["agent"]) for line in inside)
    assert [("r1", "s1", "a")] * 2 + [("r1", "s1", "b")] * 2 == found
    assert {"request", "session", "agent"}.isdisjoint(outside)


def refuse(key):
    raise ValueError(f"Incorrect API key: sk-{key}")


def log_secrets():
    log = logger("massgen_core")
    log.info("typed", key=SecretStr(HORSE), inside={"deep": [SecretStr(HORSE)]})
    log.info("positional %s", SecretStr(HORSE))
    log.info("named", api_key=HORSE, token=HORSE, headers={"X-Auth-Token": HORSE})
    log.info("nested", config={"backend": {"Authorization": HORSE, "apiKey": HORSE}})
    log.info("text: Bearer %s and sk-%s", HORSE, HORSE)
    logging.getLogger("massgen_local").info("extra", extra={"password": HORSE})
    structlog.get_logger("massgen_other").info("global", client_secret=HORSE)
    try:
        refuse(HORSE)
    except ValueError:
        log.exception("failed", cookie=HORSE)
        logging.getLogger("massgen_local").exception("failed")


@pytest.mark.parametrize("style", ["human", "json"])
def test_secrets_are_never_logged(style):
    stream = io.StringIO()
    configure_logging("debug", style, stream)
    with bound(session="s"):
        log_secrets()
    assert 9 <= len(stream.getvalue().splitlines())
    assert HORSE not in stream.getvalue()
    assert "**********" in stream.getvalue()


def test_counts_of_tokens_are_no_secrets():
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    logger("massgen_core").info(
        "fitted", max_tokens=5, tokens=7, tokenizer="o200k_base", usage={"output_tokens": 9}
    )
    (line,) = lines(stream)
    assert (5, 7, "o200k_base", {"output_tokens": 9}) == (
        line["max_tokens"],
        line["tokens"],
        line["tokenizer"],
        line["usage"],
    )


def test_importing_the_module_does_not_import_structlog():
    code = "import massgen_core.logs, sys; sys.exit('structlog' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
