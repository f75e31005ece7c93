"""The examples of docs/ and of the hooks' docstrings work."""

from __future__ import annotations

import importlib.util
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic.fields import FieldInfo
from tests.docs import generated
from tests.docs.counting import CountingPolicy
from tests.docs.markdown import PAGES, ROOT, Block, blocks

from crl_core import EnvironmentRunner, PolicyConfig, VectorTask, Workspace
from crl_core.cli.main import main
from crl_core.cli.options import as_text
from crl_core.data_files import read_data
from crl_core.errors import ExperimentError
from crl_core.experiment import task_class
from crl_core.experiment_source import build_experiment
from crl_core.gymnasium_tasks import GymnasiumTask
from crl_core.loading import HOOKS
from crl_core.plugins import discover, registry
from crl_core.rollout import Rollout
from crl_core.runners.making import make_runner
from crl_core.task import Task
from crl_core.testing.checks import run_check
from crl_core.testing.experiments import experiment_checks
from crl_core.testing.policies import policy_checks
from crl_core.testing.runners import runner_checks
from crl_core.testing.sources import policy_source

Follow = Callable[[Path], None]

DOCS = ROOT / "docs"
PACKAGES = {"rooms.toml": "minigrid"}  # what an experiment file needs, beyond what this repository installs
SLOW_CHECKS = {"runners_supported", "learns_tutorial"}  # they start processes, or train for a while


def counting_runner(name: str, *, num_steps: int) -> EnvironmentRunner:
    """Return a runner of one environment that plays the game of the table."""
    task = VectorTask(id="counting", env="tests.docs.counting:Counting", num_timesteps=6)
    policy = CountingPolicy(
        PolicyConfig(),
        task.observation_space,
        {task.action_space_id: task.action_space},
        task_ids=[task.id],
        device=torch.device("cpu"),
        seed=0,
        workspace=Workspace(Path("nowhere"), "test"),
    )
    options = {"num_envs": 1, "num_steps": num_steps}
    return make_runner(name, policy, task, seed=np.random.SeedSequence(0), eval_mode=False, options=options)


@pytest.mark.usefixtures("follow")
@pytest.mark.parametrize(("hook", "spec"), HOOKS.items())
def test_a_hook_is_used_as_its_example_says(hook: str, spec: type, install_code: Callable[..., None]) -> None:
    """The loader takes the example as it stands, and the spec it yields can be looked up by its name."""
    install_code("example-of-a-hook", generated.example(hook))
    found = discover()
    (plugin,) = [each for each in found.plugins if each.distribution == "example-of-a-hook"]
    assert (plugin.state, plugin.error) == ("loaded", "")
    (made,) = plugin.specs
    assert type(made) is spec
    lookups = {
        "crl_policies": found.policy,
        "crl_task_types": found.task_type,
        "crl_experiments": found.experiment,
        "crl_environment_runners": found.runner,
        "crl_commands": found.command,
    }
    assert lookups[hook](made.name).spec is made


def test_the_table_of_a_rollout_is_what_a_runner_hands_over() -> None:
    page = (DOCS / "how-it-fits-together.md").read_text()
    head, _, *rows = re.findall(r"^\|(.*)\|$", page[page.index("| t | observations |") :], re.MULTILINE)[:9]
    names = [cell.strip() for cell in head.split("|")]
    table = {name: [row.split("|")[k].strip() for row in rows] for k, name in enumerate(names)}

    with counting_runner("batch", num_steps=6) as runner:
        (rollout,) = runner.collect_data().rollouts

    assert table.pop("t") == ["0", "1", "2", "3", "4", "5", "6"]
    for name, cells in table.items():
        values = getattr(rollout, name).flatten()
        shown = [("yes" if each else "no") if values.dtype == torch.bool else str(int(each)) for each in values]
        assert cells == (shown if len(shown) == 7 else [*shown, ""]), name


def test_the_fields_of_a_rollout_are_listed() -> None:
    page = (DOCS / "how-it-fits-together.md").read_text()
    listed = re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE)
    assert {name for cell in listed for name in re.findall(r"`(\w+)`", cell)} >= set(Rollout.__annotations__)


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("### Fields of every task", Task.model_fields),
        (
            "### Fields of `image` and `vector`",
            {name: field for name, field in GymnasiumTask.model_fields.items() if name not in Task.model_fields},
        ),
    ],
)
def test_the_fields_of_a_task_are_listed_with_their_defaults(heading: str, fields: dict[str, FieldInfo]) -> None:
    table = (DOCS / "write-an-experiment.md").read_text().partition(f"{heading}\n\n")[2].partition("\n\n")[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|", table, re.MULTILINE))
    defaults = {
        name: "" if field.is_required() else as_text(field.get_default(call_default_factory=True, validated_data={}))
        for name, field in fields.items()
    }
    assert {name: default.strip("`") for name, default in listed.items()} == defaults


def test_the_policy_of_the_page_trains(follow: Follow, capsys: pytest.CaptureFixture[str]) -> None:
    follow(DOCS / "write-a-policy.md")
    command = ["run", "--policy", "one-step", "--experiment", "tutorial", "--preset", "tutorial", "--device", "cpu"]
    budget = ["--num-timesteps=100", "--continual-eval-num-returns=4", "--output-dir=run"]

    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command, *budget, "--dry-run"])
    planned = json.loads(capsys.readouterr().out)
    assert planned["policy"]["distribution"] == "crl-policies-one-step"
    assert planned["policy"]["settings"]["gamma"] == 0.9
    assert not Path("run").exists()

    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command, *budget])
    rows = [json.loads(line) for line in Path("run", "metrics.jsonl").read_text().splitlines()]
    assert {"loss", "eval_reward/0", "eval_reward/1"} <= {row["name"] for row in rows}
    assert json.loads(Path("run", "status.json").read_text())["state"] == "finished"


def test_the_policy_of_the_page_keeps_the_rules(follow: Follow, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(site))  # a check starts a process
    follow(DOCS / "write-a-policy.md")
    checks = policy_checks(policy_source(registry().policy("one-step"), {}))
    results = [run_check(check) for check in checks if check.name not in SLOW_CHECKS]
    assert [(each.name, each.message) for each in results if each.outcome != "ok"] == []


def experiment_files() -> list[tuple[Path, Block]]:
    return [
        (page, block)
        for page in PAGES
        for block in blocks(page)
        if block.language in {"json", "toml"} and re.search(r'"tasks": \[|^\[\[tasks\]\]', block.code, re.MULTILINE)
    ]


@pytest.mark.parametrize(("page", "block"), experiment_files(), ids=lambda value: getattr(value, "file", None))
def test_an_experiment_file_of_a_page_is_built(page: Path, block: Block, follow: Follow) -> None:
    follow(page)
    data = read_data(Path(block.file), error=ExperimentError)
    tasks = [task_class(task).model_validate(task) for task in data["tasks"]]  # makes no environment
    package = PACKAGES.get(block.file)
    if package is None or importlib.util.find_spec(package):
        assert list(build_experiment(block.file).tasks) == tasks
    else:
        with pytest.raises(ExperimentError, match=f"No module named '{package}'"):
            build_experiment(block.file)


def test_one_experiment_is_the_same_in_json_and_toml(follow: Follow) -> None:
    follow(DOCS / "write-an-experiment.md")
    assert build_experiment("carts.json") == build_experiment("carts.toml")


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("write-a-task.md", "corridors"),
        ("write-a-task.md", "fast_corridors"),
        ("write-an-experiment.md", "shrinking_carts"),
    ],
)
def test_the_experiments_of_the_pages_keep_the_rules(page: str, name: str, follow: Follow) -> None:
    follow(DOCS / page)
    results = [run_check(check) for check in experiment_checks(name)]
    assert [(each.name, each.message) for each in results if each.outcome == "failed"] == []
    not_applicable = {each.name.partition("[")[0] for each in results if each.outcome == "not applicable"}
    assert not_applicable == ({"last_observation", "single_environment"} if name == "fast_corridors" else set())


def test_the_runner_of_the_page_keeps_the_rules(follow: Follow) -> None:
    follow(DOCS / "write-a-runner.md")
    results = [run_check(check) for check in runner_checks("alternating", {})]
    assert [(each.name, each.message) for each in results if each.outcome != "ok"] == []


def test_the_tests_of_the_page_are_made(follow: Follow) -> None:
    follow(DOCS / "conformance.md")
    module = runpy.run_path("tests/test_conformance.py")
    assert [name for name in module if name.startswith("test_")] == ["test_policy", "test_experiment", "test_runner"]


def test_the_runner_of_the_page_takes_turns(follow: Follow) -> None:
    follow(DOCS / "write-a-runner.md")
    with counting_runner("alternating", num_steps=4) as runner:
        data = [runner.collect_data() for _ in range(3)]
    shown = [each.rollouts[0].observations.flatten().tolist() for each in data]
    assert shown == [[0, 1, 2, 3, 10], [0, 1, 2, 3, 10], [10, 11, 12, 20, 21]]
    assert [each.steps for each in data] == [3, 3, 3]
    assert [each.rollouts[0].policy_version.item() for each in data] == [0, 1, 2]
    assert [episode.environment for each in data for episode in each.episodes] == [0, 1, 0]
