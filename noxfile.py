"""What every change must pass. `nox` runs `check` and `wheels`; `nox -s isolated` tests each package on its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["check", "wheels"]

ROOT = Path(__file__).parent
PACKAGES = sorted(path.name for path in (ROOT / "packages").iterdir() if (path / "pyproject.toml").exists())
TEST_TOOLS = ("hypothesis", "opencv-python-headless", "pytest", "pytest-timeout")
CHECK_TOOLS = (*TEST_TOOLS, "mypy", "nox", "ruff", "types-psutil")

# A run that walks through all six games in about a minute; it shows that everything fits together, not that it learns.
TINY_RUN = {
    "policy": "clear",
    "experiment": "atari",
    "num-timesteps": 640,
    "cycle-count": 1,
    "num-actors": 4,
    "batch-size": 4,
    "unroll-length": 20,
    "replay-buffer-frames": 2000,
    "continual-eval-num-returns": 1,
    "eval-max-steps": 100,
}


@nox.session
def check(session: nox.Session) -> None:
    """Lint, check types and run the tests, in one environment; arguments after `--` go to pytest."""
    session.install("-r", "requirements.txt", *CHECK_TOOLS)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", *(f"packages/{name}/src" for name in PACKAGES))
    session.run("pytest", *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Install CLEAR and what it needs from wheels, as users do, and run the main job from an empty directory."""
    constraints = build_wheels(session)
    session.install("-c", "constraints.txt", "-c", str(constraints), "crl-policies-clear")
    session.run("pip", "check")
    elsewhere = Path(session.create_tmp()) / "elsewhere"
    shutil.rmtree(elsewhere, ignore_errors=True)
    elsewhere.mkdir()
    strict = {"CRL_STRICT_PLUGINS": "1"}
    with session.chdir(elsewhere):
        session.run("crl", "plugins", env=strict)
        session.run("crl", "list", "policies", env=strict)
        session.run("crl", "run", *(f"--{name}={value}" for name, value in TINY_RUN.items()), env=strict)


@nox.session
@nox.parametrize("package", PACKAGES)
def isolated(session: nox.Session, package: str) -> None:
    """Run one package's own tests where only that package and what it depends on is installed."""
    tests = ROOT / "tests" / package.replace("-", "_")
    if not tests.is_dir():
        session.error(f"{package} has no tests: {tests.relative_to(ROOT)} is missing")
    constraints = build_wheels(session)
    session.install("-c", "constraints.txt", "-c", str(constraints), package, *TEST_TOOLS)
    session.run("pip", "check")
    session.run("pytest", str(tests), *session.posargs)


def build_wheels(session: nox.Session) -> Path:
    """Build a wheel of every package; return a constraints file that ties the packages' names to these wheels.

    Tied so, a name can never be looked up in an index. Packages are copied first: setuptools builds in place, and would
    put files deleted since an earlier build into the wheel.
    """
    work = Path(session.create_tmp()).resolve() / "wheels"
    shutil.rmtree(work, ignore_errors=True)
    leftovers = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    copies = [shutil.copytree(ROOT / "packages" / name, work / "src" / name, ignore=leftovers) for name in PACKAGES]
    session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(work), *map(str, copies))
    ties = [f"{wheel.name.split('-')[0].replace('_', '-')} @ {wheel.as_uri()}\n" for wheel in work.glob("*.whl")]
    constraints = work / "constraints.txt"
    constraints.write_text("".join(sorted(ties)))
    return constraints
