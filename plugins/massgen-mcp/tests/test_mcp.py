import asyncio
import socket
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock

import mcp
import pytest
from pydantic import ValidationError

from massgen_core.agents import Agent, ToolProvider
from massgen_core.app import App
from massgen_core.errors import ToolSourceError
from massgen_core.events import ToolFinished, TurnFinished
from massgen_core.messages import Audio, File, Image, Text, ToolCall
from massgen_core.plugin import PluginHost
from massgen_core.sessions import SessionStore
from massgen_core.testing import Answer, ScriptedBackend
from massgen_mcp import McpServer, McpSettings, McpTools
from massgen_mcp._server import Server

SERVER = str(Path(__file__).parent / "mcp_server.py")
SECRET = "very-secret"  # noqa: S105 - of nobody


def program(*args, **more):
    return McpServer(command=sys.executable, args=(SERVER, *args), **more)


@contextmanager
def served():
    """A server over HTTP, in a process of its own; its address, and a way to end it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def start():
        process = subprocess.Popen(
            [sys.executable, SERVER, "http", str(port)], stderr=subprocess.DEVNULL
        )
        for _ in range(400):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return process
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    running = [start()]

    def end():
        running[-1].kill()
        running[-1].wait()

    try:
        yield f"http://127.0.0.1:{port}/mcp", end, lambda: running.append(start())
    finally:
        end()


def using(servers, use, **more):
    async def main():
        provider = McpTools(McpSettings(servers=servers, **more))
        try:
            return await use(provider, {tool.spec.name: tool for tool in await provider.tools()})
        finally:
            await provider.aclose()

    return asyncio.run(main())


async def call(tool, arguments="{}"):
    return await tool.run(ToolCall("c1", tool.spec.name, arguments))


def gone(pid):
    """Whether the process ended; it is our child, so a zombie counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_program_is_started_used_and_ended():
    async def use(provider, tools):
        spec = tools["add"].spec
        assert "Adds two numbers." == spec.description
        assert ["a", "b"] == spec.parameters["required"]
        result = await call(tools["add"], '{"a": 2, "b": 3}')
        assert ("c1", "add", "5", False) == (
            result.call_id, result.name, result.text, result.is_error
        )  # fmt: skip
        return int((await call(tools["whoami"])).text.split()[0])

    assert gone(using({"one": program()}, use))


def test_a_server_over_http_is_used():
    async def use(provider, tools):
        return (await call(tools["add"], '{"a": 2, "b": 3}')).text

    with served() as (url, _, _):
        assert "5" == using({"web": McpServer(url=url)}, use)


def test_a_program_gets_the_variables_it_was_given_and_no_others(monkeypatch, tmp_path):
    monkeypatch.setenv("UNASKED", "private")

    async def use(provider, tools):
        return (await call(tools["whoami"])).text.split()[1:]

    told = using({"one": program(env={"TOKEN": SECRET}, cwd=tmp_path)}, use)
    assert [SECRET, "None", str(tmp_path)] == told


def test_failures_of_a_tool_go_to_the_model():
    async def use(provider, tools):
        return [
            await call(tools["refuse"]),
            await call(tools["add"], '{"a": "x"}'),
            await call(tools["add"], "{"),
        ]

    refused, wrong, broken = using({"one": program()}, use)
    assert ("no such file: a.txt", True) == (refused.text, refused.is_error)
    assert wrong.is_error
    assert "valid integer" in wrong.text
    assert broken.is_error


def test_a_call_that_takes_too_long_fails_and_the_server_lives():
    async def use(provider, tools):
        pid = (await call(tools["whoami"])).text.split()[0]
        late = await call(tools["stall"])
        return late, pid == (await call(tools["whoami"])).text.split()[0]

    late, same = using({"one": program(timeout=1.0)}, use)
    assert late.is_error
    assert "'stall' in time" in late.text
    assert same


def test_a_cancelled_call_leaves_the_server_usable():
    async def use(provider, tools):
        task = asyncio.create_task(call(tools["stall"]))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return (await call(tools["add"], '{"a": 1, "b": 1}')).text

    assert "2" == using({"one": program()}, use)


def test_a_start_that_is_cancelled_leaves_no_task():
    async def main():
        provider = McpTools(McpSettings(servers={"one": program("silent")}))
        start = asyncio.create_task(provider.tools())
        await asyncio.sleep(0.2)
        during = [task for task in asyncio.all_tasks() if task.get_name() == "mcp one"]
        start.cancel()
        await asyncio.wait([start])
        assert start.cancelled()
        return [task.done() for task in during]

    assert [True] == asyncio.run(main())


def test_closing_while_it_starts_leaves_nothing():
    async def main():
        provider = McpTools(McpSettings(servers={"one": program()}))
        asked = asyncio.create_task(provider.tools())
        await asyncio.sleep(0.05)
        await provider.aclose()
        with suppress(ToolSourceError):  # the closing came first
            await asked
        with pytest.raises(ToolSourceError, match="is closed"):
            await provider.tools()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert set() == asyncio.run(main())


def test_it_can_be_used_in_one_loop_after_another():
    provider = McpTools(McpSettings(servers={"one": program()}))

    async def main():
        return await asyncio.gather(*[provider.tools() for _ in range(3)])

    async def end():
        await main()
        await provider.aclose()

    assert 3 == len(asyncio.run(main()))
    asyncio.run(end())


class Offering:
    """A server that is just a list of names."""

    def __init__(self, *names):
        self._names = names

    async def tools(self):
        return [mcp.Tool(name=name, input_schema={"type": "object"}) for name in self._names]


@pytest.mark.parametrize(
    "servers",
    [
        {"s": Offering("read.file", "read_file")},
        {"s": Offering("x" * 64 + "a", "x" * 64 + "b")},
        {"a": Offering("x"), "b": Offering("x", "a_x")},
        {"a": Offering("x"), "b": Offering("x"), "c": Offering("a_x", "b_x")},
        {"a.b": Offering("x"), "a_b": Offering("x")},
    ],
)
def test_no_two_tools_have_one_name_whatever_servers_call_them(servers):
    provider = McpTools(McpSettings(servers=dict.fromkeys(servers, program())))
    provider._servers = servers
    names = [tool.spec.name for tool in asyncio.run(provider.tools())]

    assert len(names) == len(set(names))
    assert all(len(name) <= 64 for name in names)
    assert names == [tool.spec.name for tool in asyncio.run(provider.tools())]


def test_a_server_that_ends_fails_the_call_and_is_started_again():
    async def use(provider, tools):
        before = (await call(tools["whoami"])).text.split()[0]
        failed = await call(tools["leave"])
        after = (await call(tools["whoami"])).text.split()[0]
        return failed, before, after

    failed, before, after = using({"one": program()}, use)
    assert failed.is_error
    assert "ToolSourceError: the MCP server 'one' went away during 'leave'" in failed.text
    assert before != after
    assert gone(int(before))
    assert gone(int(after))


def test_calls_at_the_same_time_share_one_new_start():
    async def use(provider, tools):
        await call(tools["leave"])
        said = await asyncio.gather(*[call(tools["whoami"]) for _ in range(5)])
        return {result.text.split()[0] for result in said}

    assert 1 == len(using({"one": program()}, use))


def test_a_server_over_http_may_be_away_for_a_while():
    with served() as (url, end, start):

        async def use(provider, tools):
            end()
            away = await call(tools["add"], '{"a": 1, "b": 1}')
            start()
            return away, await call(tools["add"], '{"a": 1, "b": 1}')

        away, back = using({"web": McpServer(url=url, timeout=10)}, use)
    assert away.is_error
    assert "ToolSourceError: the MCP server 'web'" in away.text
    assert ("2", False) == (back.text, back.is_error)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (McpServer(command="/no/such/program"), "cannot be started"),
        (McpServer(command=sys.executable, args=("-c", "")), "cannot be started"),
        (program("silent", start_timeout=1.0), "said nothing within 1 s"),
        (McpServer(url="http://127.0.0.1:9/mcp"), "cannot be started"),
        (program(allow=("add", "fly")), "no tool 'fly'; it has add"),
    ],
)
def test_a_server_that_cannot_be_had_is_a_typed_error(server, said):
    async def use(provider, tools):
        pass

    with pytest.raises(ToolSourceError, match=said) as raised:
        using({"one": server}, use)
    assert "one" == raised.value.source
    assert "tools.servers.one" in raised.value.hint


def test_only_allowed_tools_are_given():
    async def use(provider, tools):
        return list(tools)

    assert ["tell", "add"] == using({"one": program(allow=("tell", "add"))}, use)


def test_names_are_made_such_that_providers_take_them_and_prefixed_where_shared():
    async def use(provider, tools):
        odd = await call(tools["odd_name_with_space"])
        return list(tools), odd.text

    servers = {
        "a-1": program(allow=("add", "odd.name/with space")),
        "b": program(allow=("add",)),
        "c": program(allow=("add",), prefix="c_"),
    }
    names, odd = using(servers, use)
    assert ["a-1_add", "odd_name_with_space", "b_add", "c_add"] == names
    assert "odd" == odd


def test_a_long_text_loses_its_middle():
    async def use(provider, tools):
        return (await call(tools["tell"], '{"length": 5000}')).text

    text = using({"one": program()}, use, max_result=1000)
    assert text.startswith("a" * 750 + "\n[4000 characters left out here]\n")
    assert text.endswith("end")
    assert len(text) < 1100


def test_contents_of_all_kinds_become_parts():
    async def use(provider, tools):
        return (await call(tools["show"])).content

    assert (
        Text("Here"),
        Image("image/png", b"\x89PNG"),
        Audio("audio/wav", b"RIFF"),
        Text("[image image/jpeg of 6000 bytes, left out: at most 1000 are kept]"),
        Text("[resource c: file:///c]"),
        Text("inside"),
        File("application/pdf", b"%PDF", name="file:///b.pdf"),
    ) == using({"one": program()}, use, max_result=1000)


def test_what_a_program_writes_to_stderr_goes_to_its_log(tmp_path):
    async def use(provider, tools):
        await call(tools["add"], '{"a": "x"}')

    log = tmp_path / "server.log"
    using({"one": program(log=log)}, use)
    assert "rejected arguments" in " ".join(log.read_text().split())


def test_no_error_shows_a_secret():
    server = McpServer(command="/no/such", env={"TOKEN": SECRET}, args=("x",))
    url = McpServer(url="http://127.0.0.1:9/mcp", headers={"authorization": SECRET})

    async def use(provider, tools):
        pass

    for one in (server, url):
        with pytest.raises(ToolSourceError) as raised:
            using({"one": one}, use)
        assert SECRET not in f"{raised.value} {vars(raised.value)} {one!r}"


class Blabbing:
    """A client whose server answers with a secret, or with no list of tools."""

    def __init__(self, failure):
        self._failure = failure

    async def list_tools(self, cursor=None):
        raise self._failure


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (mcp.MCPError(code=1, message=f"bad {SECRET}"), "refused 'tools/list': bad \\*+"),
        (None, "answered 'tools/list' with name: "),
    ],
)
def test_what_a_server_answers_is_told_without_secrets(monkeypatch, failure, said):
    if failure is None:
        with pytest.raises(ValidationError) as invalid:
            mcp.Tool.model_validate({"name": [SECRET]})
        failure = invalid.value

    async def main():
        server = Server("one", program(env={"TOKEN": SECRET}))
        connection = SimpleNamespace(client=Blabbing(failure), lost=False)
        monkeypatch.setattr(server, "_connected", AsyncMock(return_value=connection))
        await server.tools()

    with pytest.raises(ToolSourceError, match=said) as raised:
        asyncio.run(main())
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_a_refusal_is_told_without_secrets_and_the_server_lives():
    async def use(provider, tools):
        before = (await call(tools["whoami"])).text
        refused = await call(tools["betray"])
        return refused, before == (await call(tools["whoami"])).text

    refused, same = using({"one": program(env={"TOKEN": SECRET})}, use)
    assert refused.is_error
    assert "refused 'betray': bad token **********" in refused.text
    assert SECRET not in refused.text
    assert same


def test_settings_are_checked():
    for wrong in ({}, {"command": "x", "url": "http://h"}, {"url": "ftp://h"}, {"port": 1},
                  {"url": "http://u:p@h"}, {"command": "x", "prefix": "1"}):  # fmt: skip
        with pytest.raises(ValidationError):
            McpServer(**wrong)


def test_closing_twice_and_unused_is_fine():
    async def main():
        provider: ToolProvider = McpTools(McpSettings(servers={"one": program()}))
        await provider.aclose()
        await provider.aclose()
        with pytest.raises(ToolSourceError, match="closed"):
            await provider.tools()

    asyncio.run(main())


def test_an_agent_uses_the_tools(tmp_path):
    script = [
        Answer(calls=(ToolCall("1", "add", '{"a": 2, "b": 3}'), ToolCall("2", "refuse"))),
        "5.",
    ]

    async def main():
        provider = McpTools(McpSettings(servers={"one": program()}))
        events = []
        try:
            tools = await provider.tools()
            agent = Agent(ScriptedBackend(script, tools=True), model="gpt-4o", tools=tools)
            async with SessionStore.open(tmp_path) as store, store.create() as session:
                events = [event async for event in agent.run(session, "2 + 3?")]
        finally:
            await provider.aclose()
        return events

    events = asyncio.run(main())
    told = [(e.text, e.is_error) for e in events if isinstance(e, ToolFinished)]
    assert [("5", False), ("no such file: a.txt", True)] == told
    assert ["5."] == [event.text for event in events if isinstance(event, TurnFinished)]


def test_the_settings_give_an_app_the_tools(tmp_path):
    (tmp_path / "massgen.yaml").write_text(
        f"""
backend: {{name: anthropic, model: claude-sonnet-5-5}}
tools:
  name: mcp
  servers:
    one:
      command: {sys.executable}
      args: [{SERVER}]
      env: {{TOKEN: {SECRET}}}
      allow: [add]
"""
    )

    async def main():
        async with App.load(cwd=tmp_path, env={}, path=tmp_path / "db") as app:
            tools = await app.tool_provider().tools()
            shown = repr(app.loaded.explain())
            return [tool.spec.name for tool in tools], shown, app.tool_provider()

    names, shown, provider = asyncio.run(main())
    assert ["add"] == names
    assert SECRET not in shown
    with pytest.raises(ToolSourceError, match="closed"):
        asyncio.run(provider.tools())


def test_discovery_imports_nothing_heavy():
    code = (
        "import sys, massgen_mcp.plugin as p; p.massgen_tools();"
        "print({'mcp', 'httpx2', 'pydantic', 'massgen_mcp.provider'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()" == done.stdout.strip()
    assert McpSettings is PluginHost().settings_class("tools", "mcp")
