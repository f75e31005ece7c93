"""What every change must pass: `nox` runs all but `isolated`, which tests each package on its own, and `learning`."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["check", "wheels", "scaffold", "docs"]

ROOT = Path(__file__).parent
PACKAGES = sorted(path.name for path in (ROOT / "packages").iterdir() if (path / "pyproject.toml").exists())
TEST_TOOLS = ("av", "hypothesis", "opencv-python-headless", "pillow", "pytest", "pytest-timeout", "pytest-xdist")
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

# A run through the three games of MinAtar, twice.
TINY_MINATAR_RUN = {
    "policy": "clear",
    "preset": "minatar",
    "experiment": "minatar_3_tasks_2_cycles",
    "num-timesteps": 2000,
    "replay-buffer-frames": 2000,
    "continual-eval-num-returns": 1,
    "eval-max-steps": 100,
    "output-dir": "minatar",
}

# The first, with a policy that was just written, on the tutorial, a game and an experiment that was just written.
NEW_POLICY_RUNS = {
    "tutorial": ("--preset=tutorial", "--num-timesteps=2000", "--continual-eval-num-returns=5"),
    "breakout": ("--num-timesteps=400", "--num-envs=4", "--continual-eval-num-returns=1", "--eval-max-steps=100"),
    "nox-task": ("--num-timesteps=2000", "--continual-eval-num-returns=5"),
}


@nox.session
def check(session: nox.Session) -> None:
    """Lint, check types and run the tests, in one environment; arguments after `--` go to pytest."""
    session.install("-r", "requirements.txt", *CHECK_TOOLS)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy", *(f"packages/{name}/src" for name in PACKAGES))
    session.run("pytest", "--numprocesses=2", "--dist=worksteal", *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Install CLEAR, MinAtar and reports from wheels, as users do, and run the main jobs from an empty directory."""
    constraints = build_wheels(session)
    packages = ("crl-policies-clear", "crl-report", "crl-tasks-minatar")
    session.install("-c", "constraints.txt", "-c", str(constraints), *packages)
    session.run("pip", "check")
    elsewhere = Path(session.create_tmp()) / "elsewhere"
    shutil.rmtree(elsewhere, ignore_errors=True)
    elsewhere.mkdir()
    strict = {"CRL_STRICT_PLUGINS": "1"}
    with session.chdir(elsewhere):
        session.run("crl", "plugins", env=strict)
        session.run("crl", "list", "policies", env=strict)
        session.run("crl", "run", *(f"--{name}={value}" for name, value in TINY_RUN.items()), env=strict)
        session.run("crl", "run", *(f"--{name}={value}" for name, value in TINY_MINATAR_RUN.items()), env=strict)
        session.run("crl", "report", "runs", env=strict)


@nox.session
def scaffold(session: nox.Session) -> None:
    """Write a new policy and a new task package, do with them what their authors and users do, and take them away."""
    constraints = ("-c", str(ROOT / "constraints.txt"), "-c", str(build_wheels(session)))
    session.install(*constraints, "crl-core", "crl-tasks-atari")
    work = Path(session.create_tmp()).resolve() / "scaffold"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    strict = {"CRL_STRICT_PLUGINS": "1"}
    with session.chdir(work):
        for kind in ("policy", "task"):
            session.run("crl", "new", kind, f"nox-{kind}", "--output-dir", kind)
        session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "wheels", "./policy", "./task")
        session.install(*constraints, *(f"{wheel}[dev]" for wheel in sorted(work.glob("wheels/*.whl"))))
        for experiment, settings in NEW_POLICY_RUNS.items():
            session.run("crl", "run", "--policy=nox-policy", f"--experiment={experiment}", *settings, env=strict)
        session.run("crl", "check", "policy", "nox-policy", env=strict)
    for kind in ("policy", "task"):
        with session.chdir(work / kind):  # its lint is checked by tests/integration: ruff sees nothing below .nox
            session.run("mypy", "--cache-dir", str(work / "mypy"), "src", "tests")
            session.run("pytest", env=strict)
    session.run("pip", "uninstall", "--yes", "--quiet", "crl-policies-nox-policy", "crl-tasks-nox-task")
    if "nox-" in str(session.run("crl", "list", silent=True, env=strict)):
        session.error("`crl list` still shows a package that was uninstalled")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of docs/ into site/; a link that leads nowhere is an error."""
    session.install("zensical==0.0.73")  # before 1.0 anything may change
    session.run("zensical", "build", "--clean", "--strict")


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


@nox.session
def learning(session: nox.Session) -> None:
    """Train PPO, IMPALA and CLEAR for a cycle of MinAtar's benchmark and compare with what they came to before."""
    session.install("-r", "requirements.txt")
    runs = Path(session.create_tmp()).resolve() / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    session.run("crl", "run", "--config-file=benchmarks/learning.json", "--all", f"--output-dir={runs}")
    session.run("python", "benchmarks/learning.py", str(runs))


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
