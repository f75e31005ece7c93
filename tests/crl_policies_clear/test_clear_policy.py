"""CLEAR: what is replayed, beside what, and compared with which rows."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tests.rollouts import OBSERVATION_SPACE, PROGRESS, make_policy, random_rollout

from crl_core.errors import ReplayError
from crl_core.rollout import TIME_MAJOR
from crl_core.tutorial import tutorial
from crl_policies_clear.config import ClearConfig
from crl_policies_clear.policy import ClearPolicy
from crl_policies_clear.unrolls import from_sample, to_unrolls
from crl_policies_impala.config import ImpalaConfig
from crl_policies_impala.policy import ImpalaPolicy
from crl_replay.buffer import ReplayBuffer

SETTINGS: dict[str, Any] = {
    "batch_size": 4,
    "unroll_length": 7,
    "entropy_cost": 0.01,
    "replay_buffer_frames": 700,
    "learning_rate": 1e-3,
}


def make(tmp_path: Path, **settings: Any) -> ClearPolicy:
    policy: ClearPolicy = make_policy(ClearPolicy, ClearConfig(**{**SETTINGS, **settings}), tmp_path)
    return policy


def rollout(seed: int, *, task: int = 0, columns: int = 4) -> Any:
    return random_rollout(
        num_steps=7, num_columns=columns, num_actions=(3, 5)[task], head=5, seed=seed, task_id=f"task{task}"
    )


def round_weights(network: torch.nn.Module) -> None:
    """Make every product and sum of the network exact, so that results do not depend on the order of additions."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_((parameter * 64).round() / 64)


def test_cloning_losses_are_zero_when_nothing_was_learned_since(tmp_path: Path) -> None:
    policy, batch = played(tmp_path)
    assert (~batch.valid).any()

    everything = policy._evaluate(batch)
    outputs = first_rows(everything)
    auxiliary = policy.auxiliary_loss(batch, outputs, num_new=0)

    assert auxiliary is not None
    assert auxiliary.metrics["loss/policy_cloning"].item() == 0.0
    assert auxiliary.metrics["loss/value_cloning"].item() == 0.0


def test_cloning_losses_are_not_zero_when_rows_are_shifted_by_one(tmp_path: Path) -> None:
    policy, batch = played(tmp_path)

    shifted = last_rows(policy._evaluate(batch))
    auxiliary = policy.auxiliary_loss(batch, shifted, num_new=0)

    assert auxiliary is not None
    assert auxiliary.metrics["loss/policy_cloning"].item() > 0.0
    assert auxiliary.metrics["loss/value_cloning"].item() > 0.0


def test_cloning_is_only_of_the_replayed_columns(tmp_path: Path) -> None:
    policy, batch = played(tmp_path)
    changed = batch.extras["values"].clone()
    changed[:, :3] += 1.0  # the new columns may be off as they like
    batch.extras["values"].copy_(changed)

    outputs = first_rows(policy._evaluate(batch))
    of_replayed = policy.auxiliary_loss(batch, outputs, num_new=3)
    of_all = policy.auxiliary_loss(batch, outputs, num_new=0)

    assert of_replayed is not None
    assert of_all is not None
    assert of_replayed.loss.item() == 0.0
    assert of_all.loss.item() == pytest.approx(0.005 * batch.valid[:, :3].sum().item())
    assert policy.auxiliary_loss(batch, outputs, num_new=batch.num_columns) is None


def test_replayed_columns_come_back_as_they_were_beside_the_new_ones(tmp_path: Path) -> None:
    policy = make(tmp_path, batch_replay_ratio=2.0)
    old, new = rollout(1, task=0), rollout(2, task=1)
    policy.augment(old)

    batch = policy.augment(new)

    assert batch.num_columns == 4 + 8
    assert batch.task_id == ("task1",) * 4 + ("task0",) * 8
    assert batch.num_actions.tolist() == [5] * 4 + [3] * 8
    for column in range(4):
        assert_same_column(batch, column, new, column)
    for column in range(4, 12):
        matches = [source for source in range(4) if torch.equal(batch.rewards[:, column], old.rewards[:, source])]
        assert len(matches) == 1
        assert_same_column(batch, column, old, matches[0])


def test_the_first_batch_is_learned_without_waiting_for_replay(tmp_path: Path) -> None:
    policy = make(tmp_path)

    first = policy.train([rollout(1)], progress=PROGRESS)
    second = policy.train([rollout(2)], progress=PROGRESS)

    assert "loss/policy_cloning" not in first
    assert second["loss/policy_cloning"] > 0
    assert (first["replay/unrolls"], second["replay/unrolls"]) == (4, 8)


def test_one_update_is_impalas_on_all_columns_and_cloning_on_the_replayed(tmp_path: Path) -> None:
    policy = make(tmp_path, policy_cloning_cost=0.3, value_cloning_cost=0.2)
    policy.augment(rollout(1))
    impala: ImpalaPolicy[ImpalaConfig] = make_policy(ImpalaPolicy, impala_config(), tmp_path)
    impala.load_state_dict({name: value for name, value in policy.state_dict().items() if name != "replay"})
    batch = policy.augment(rollout(2))

    losses = policy._losses(batch, first_rows(policy._evaluate(batch)), num_new=4)
    plain = impala._losses(batch, first_rows(impala._evaluate(batch)), num_new=4)

    replayed = batch.columns(4, 8)
    outputs = impala._evaluate(replayed)
    stored = torch.distributions.Categorical(logits=replayed.extras["policy_logits"])
    current = torch.distributions.Categorical(logits=outputs.policy_logits[:-1])
    divergence = (torch.distributions.kl_divergence(stored, current) * replayed.valid).sum()
    squares = ((outputs.values[:-1] - replayed.extras["values"]).square() * replayed.valid).sum()
    torch.testing.assert_close(losses["loss/policy_cloning"], 0.3 * divergence, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses["loss/value_cloning"], 0.2 * squares, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        losses["loss/total"], plain["loss/total"] + 0.3 * divergence + 0.2 * squares, rtol=1e-4, atol=1e-4
    )


def test_without_replay_it_is_impala(tmp_path: Path) -> None:
    policy = make(tmp_path, batch_replay_ratio=0)
    impala: ImpalaPolicy[ImpalaConfig] = make_policy(ImpalaPolicy, impala_config(), tmp_path)

    for seed in (1, 2):
        mine = policy.train([rollout(seed)], progress=PROGRESS)
        theirs = impala.train([rollout(seed)], progress=PROGRESS)

    assert {**theirs, "replay/unrolls": 0.0} == mine
    for one, other in zip(policy.network.parameters(), impala.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not (tmp_path / "replay").exists()


def test_a_saved_policy_goes_on_identically_from_its_replay(tmp_path: Path) -> None:
    policy = make(tmp_path)
    policy.train([rollout(1)], progress=PROGRESS)
    policy.train([rollout(2)], progress=PROGRESS)
    file = io.BytesIO()
    torch.save(policy.state_dict(), file)
    file.seek(0)
    mine = policy.train([rollout(3)], progress=PROGRESS)
    weights = copy.deepcopy(policy.network.state_dict())
    policy.shutdown()

    resumed = make(tmp_path)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    theirs = resumed.train([rollout(3)], progress=PROGRESS)
    resumed.shutdown()

    assert mine == theirs
    assert all(torch.equal(weights[name], value) for name, value in resumed.network.state_dict().items())


def test_an_acting_copy_has_no_replay(tmp_path: Path) -> None:
    policy = make(tmp_path)
    policy.train([rollout(1)], progress=PROGRESS)

    assert not hasattr(policy.acting_copy(seed=0), "_replay")


def test_records_survive_the_round_trip(tmp_path: Path) -> None:
    batch = rollout(5)
    with ReplayBuffer(tmp_path / "replay", capacity_unrolls=10, seed=0) as buffer:
        buffer.add(to_unrolls(batch.columns(2, 3)))
        back = from_sample(buffer.sample(2))

    for column in range(2):
        assert_same_column(back, column, batch, 2)


class Disk(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with 10 MB free."""
    monkeypatch.setattr("crl_replay.space.shutil.disk_usage", lambda path: Disk(10**9, 10**9 - 10**7, 10**7))


def prepare(config: ClearConfig, directory: Path, total_steps: int = 10**9) -> ClearConfig:
    return ClearPolicy.prepare(
        config, observation_space=OBSERVATION_SPACE, total_steps=total_steps, directory=directory
    )


@pytest.mark.usefixtures("small_disk")
def test_a_buffer_that_does_not_fit_is_cut_down_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        config = prepare(ClearConfig(), tmp_path / "run")

    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "cut down" in warning
    assert "--replay-buffer-frames" in warning
    assert 0 < config.replay_buffer_frames < 10**6
    assert any("10.0 MB free" in record.getMessage() for record in caplog.records)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"runner": "pipelined", "replay_buffer_frames": 319}, True),  # an update learns from batch_size new unrolls
        ({"runner": "pipelined", "replay_buffer_frames": 320}, False),
        ({"runner": "batch", "num_actors": 2, "replay_buffer_frames": 79}, True),  # here from one of each actor
        ({"runner": "batch", "num_actors": 2, "replay_buffer_frames": 80}, False),
    ],
)
def test_a_buffer_smaller_than_what_an_update_replays_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], *, warned: bool
) -> None:
    prepare(ClearConfig(batch_size=8, batch_replay_ratio=2.0, unroll_length=20, **settings), tmp_path / "run")
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [("the replay buffer keeps" in message) for message in messages] == [True] * warned


@pytest.mark.usefixtures("small_disk")
def test_a_buffer_the_user_asked_for_is_refused_if_it_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match=r"--replay-buffer-frames: .*10\.0 MB free.*--large-file-path"):
        prepare(ClearConfig(replay_buffer_frames=10**8), tmp_path / "run")


@pytest.mark.usefixtures("small_disk")
def test_a_short_run_needs_no_more_room_than_it_has_steps(tmp_path: Path) -> None:
    config = prepare(ClearConfig(replay_buffer_frames=10**8), tmp_path / "run", total_steps=1000)

    assert config.replay_buffer_frames == 10**8


def test_the_buffer_lives_where_large_files_should(tmp_path: Path) -> None:
    policy = make(tmp_path / "run", large_file_path=str(tmp_path / "large"))

    policy.train([rollout(1)], progress=PROGRESS)

    assert (tmp_path / "large" / "test" / "data.mdb").is_file()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["always_reuse_actor_indices", "num_learner_threads", "policy_unique_id"])
def test_settings_of_the_original_that_mean_nothing_are_accepted_with_a_reason(name: str) -> None:
    kept, warnings = ClearConfig.split_ignored({name: 1, "num_actors": 3})

    assert kept == {"num_actors": 3}
    assert [warning.startswith(f"ignored: {name}, because ") for warning in warnings] == [True]


def impala_config() -> ImpalaConfig:
    return ImpalaConfig(**{name: value for name, value in SETTINGS.items() if name != "replay_buffer_frames"})


def played(tmp_path: Path) -> tuple[ClearPolicy, Any]:
    """Return a policy whose arithmetic is exact, and what it has just played on a real task."""
    task = tutorial().tasks[0]
    config = ClearConfig(**{**SETTINGS, "unroll_length": 12, "num_actors": 6, "runner": "batch"})
    policy: ClearPolicy = make_policy(
        ClearPolicy, config, tmp_path, observation_space=task.observation_space, num_actions=(3, 5)
    )
    round_weights(policy.network)
    with policy.get_environment_runner(task, seed=np.random.SeedSequence(1)) as runner:
        runner.collect_data()
        (batch,) = runner.collect_data().rollouts
    return policy, batch


def first_rows(outputs: Any) -> Any:
    return outputs._replace(policy_logits=outputs.policy_logits[:-1], values=outputs.values[:-1])


def last_rows(outputs: Any) -> Any:
    return outputs._replace(policy_logits=outputs.policy_logits[1:], values=outputs.values[1:])


def assert_same_column(one: Any, column: int, other: Any, source: int) -> None:
    for name in TIME_MAJOR:
        mine, theirs = getattr(one, name)[:, column], getattr(other, name)[:, source]
        assert mine.dtype == theirs.dtype
        assert torch.equal(mine, theirs), name
    for name in other.extras:
        assert torch.equal(one.extras[name][:, column], other.extras[name][:, source]), name
    for name in ("num_actions", "policy_version"):
        assert getattr(one, name)[column] == getattr(other, name)[source]
    assert one.task_id[column] == other.task_id[source]
