"""IMPALA's update, equal to a straightforward one; its schedule, rewards, masks and state."""

from __future__ import annotations

import copy
import io
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from tests.rollouts import PROGRESS, make_policy, random_rollout

from crl_core.errors import ExperimentError
from crl_core.policy import TrainingProgress
from crl_core.tutorial import tutorial
from crl_policies_impala import policy as policy_module
from crl_policies_impala.config import ImpalaConfig
from crl_policies_impala.policy import ImpalaPolicy

CONFIG = ImpalaConfig(
    batch_size=4,
    unroll_length=7,
    entropy_cost=0.02,
    baseline_cost=0.7,
    learning_rate=1e-3,
    grad_norm_clipping=5.0,
    precision="fp32",  # whatever the processor has: references are as exact
)


def make(tmp_path: Path, **settings: Any) -> ImpalaPolicy[ImpalaConfig]:
    policy: ImpalaPolicy[ImpalaConfig] = make_policy(
        ImpalaPolicy, ImpalaConfig(**{**CONFIG.model_dump(exclude_unset=True), **settings}), tmp_path
    )
    return policy


def rollout(seed: int = 1, columns: int = 4) -> Any:
    return random_rollout(num_steps=7, num_columns=columns, num_actions=3, head=5, seed=seed)


def reference_loss(network: Any, batch: Any) -> torch.Tensor:
    """IMPALA's loss of CONFIG, row by row."""
    num_steps, num_columns = batch.rewards.shape
    total = torch.tensor(0.0)
    for n in range(num_columns):
        outputs = network(
            batch.observations[:, n],
            batch.last_actions[:, n],
            batch.last_rewards[:, n],
            batch.num_actions[n].repeat(num_steps + 1),
        )
        values = outputs.values
        following = torch.tensor(0.0)  # v_{s+1} - V(x_{s+1}) of the same episode
        for t in reversed(range(num_steps)):
            if not batch.valid[t, n]:
                following = torch.tensor(0.0)
                continue
            current = torch.distributions.Categorical(logits=outputs.policy_logits[t])
            behaviour = torch.distributions.Categorical(logits=batch.extras["policy_logits"][t, n])
            action = batch.actions[t, n]
            with torch.no_grad():
                rho = (current.log_prob(action) - behaviour.log_prob(action)).exp().clamp(max=1)
                discount = 0.0 if batch.terminated[t, n] else CONFIG.discounting
                carried = torch.tensor(0.0) if batch.truncated[t, n] else following
                reward = batch.rewards[t, n].clamp(-1, 1)
                advantage = reward + discount * (values[t + 1] + carried) - values[t]
                delta = rho * (reward + discount * values[t + 1] - values[t])
                following = delta + discount * rho * carried
                target = values[t] + following
            total = total - rho * advantage * current.log_prob(action)
            total = total + CONFIG.baseline_cost * 0.5 * (target - values[t]) ** 2
            entropy = -(current.probs[:3] * current.probs[:3].log()).sum()
            total = total - CONFIG.entropy_cost * entropy
    return total


def test_one_update_equals_a_straightforward_reference(tmp_path: Path) -> None:
    policy = make(tmp_path)
    network = copy.deepcopy(policy.network)
    batch = rollout()
    loss = reference_loss(network, batch)
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    norm = torch.sqrt(sum(gradient.square().sum() for gradient in gradients))
    assert norm > CONFIG.grad_norm_clipping  # so that clipping is seen to work
    learning_rate = CONFIG.learning_rate * 0.75  # a quarter of the task is over
    expected = []
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        clipped = gradient * CONFIG.grad_norm_clipping / norm
        mean_square = (1 - CONFIG.alpha) * clipped.square()
        expected.append(parameter - learning_rate * clipped / (mean_square.sqrt() + CONFIG.epsilon))

    metrics = policy.train([batch], progress=PROGRESS)

    assert metrics["loss/total"] == pytest.approx(loss.item(), rel=1e-5)
    assert metrics["gradient_norm"] == pytest.approx(norm.item(), rel=1e-4)
    assert metrics["learning_rate"] == learning_rate
    for parameter, wanted in zip(policy.network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"baseline_includes_uncertainty": True}, {"learner_threads": 3}])
def test_one_update_in_several_passes_equals_one_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    before = set(threading.enumerate())
    whole, parts = make(tmp_path, **{**settings, "learner_threads": 1}), make(tmp_path, **settings)
    data = rollout(columns=5)
    expected = whole.train([data], progress=PROGRESS)
    calls: list[int] = []
    monkeypatch.setattr(policy_module, "_OBSERVATION_VALUES_PER_PASS", data.observations[:1].numel())
    parts.network.register_forward_hook(lambda module, args, output: calls.append(len(args[0])))
    assert parts.train([data], progress=PROGRESS) == pytest.approx(expected, rel=1e-4)
    assert len(calls) > 2
    assert sum(calls) == data.last_rewards.numel()
    again = make(tmp_path, **settings)
    again.train([data], progress=PROGRESS)
    for mine, other in zip(parts.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(mine, other)  # parts are summed in order, whoever was first
    for each in (parts, again):
        each.shutdown()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("learner")]
    for mine, other in zip(parts.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


def test_the_columns_of_several_rollouts_are_learned_in_batches(tmp_path: Path) -> None:
    together, apart = make(tmp_path), make(tmp_path)
    first, second = rollout(1), rollout(2)

    together.train([first, second], progress=PROGRESS)
    for each in (first, second):
        apart.train([each], progress=PROGRESS)

    for one, other in zip(together.network.parameters(), apart.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_invalid_rows_count_for_nothing(tmp_path: Path) -> None:
    one, other = make(tmp_path), make(tmp_path)
    batch = rollout()
    resets = ~batch.valid
    assert resets.any()
    garbage = {
        "rewards": torch.where(resets, torch.tensor(1e3), batch.rewards),
        "actions": torch.where(resets, (batch.actions + 1) % 3, batch.actions),
    }
    extras = {"policy_logits": torch.where(resets[..., None], torch.tensor(0.5), batch.extras["policy_logits"])}

    one.train([batch], progress=PROGRESS)
    other.train([replace(batch, **garbage, extras={**batch.extras, **extras})], progress=PROGRESS)

    for mine, theirs in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(("steps", "expected"), [(0, 1e-3), (500, 5e-4), (1000, 0.0), (1013, 0.0)])
def test_the_learning_rate_falls_to_zero_over_a_task_and_no_further(
    tmp_path: Path, steps: int, expected: float
) -> None:
    progress = TrainingProgress(
        cycle=3, task=1, task_steps=steps, task_num_timesteps=1000, total_steps=9000, run_num_timesteps=20_000
    )

    metrics = make(tmp_path).train([rollout()], progress=progress)

    assert metrics["learning_rate"] == pytest.approx(expected)


def test_without_the_scheduler_the_learning_rate_stays(tmp_path: Path) -> None:
    metrics = make(tmp_path, use_scheduler=False).train([rollout()], progress=PROGRESS)

    assert metrics["learning_rate"] == CONFIG.learning_rate


def test_rewards_are_normalised_by_their_root_mean_square_before_clipping(tmp_path: Path) -> None:
    policy = make(tmp_path, normalize_reward=True, reward_clipping="none")
    batch = rollout()
    batch.rewards[batch.valid] = torch.tensor([3.0, -3.0]).repeat(100)[: int(batch.valid.sum())]

    policy.train([batch], progress=PROGRESS)

    assert policy._learning_rewards(torch.tensor([6.0, -1.5])).tolist() == pytest.approx([2.0, -0.5])
    clipped = make(tmp_path, normalize_reward=True)
    clipped.load_state_dict(policy.state_dict())
    assert clipped._learning_rewards(torch.tensor([6.0, -1.5])).tolist() == pytest.approx([1.0, -0.5])


def test_rewards_are_clipped_for_learning_only(tmp_path: Path) -> None:
    rewards = torch.tensor([5.0, -0.5, -7.0])

    assert make(tmp_path)._learning_rewards(rewards).tolist() == [1.0, -0.5, -1.0]
    assert make(tmp_path, reward_clipping="none")._learning_rewards(rewards).tolist() == [5.0, -0.5, -7.0]


def test_actions_stay_inside_the_tasks_own_space(tmp_path: Path) -> None:
    policy = make(tmp_path)
    small = tutorial().tasks[0].model_copy(update={"action_space_id": 0})
    observations = torch.randint(256, (500, 2, 6, 6), dtype=torch.uint8)

    data = policy.compute_action(observations, small, None, eval_mode=False)

    assert set(data.actions.tolist()) == {0, 1, 2}
    assert (data.policy_logits[:, 3:] == torch.finfo(torch.float32).min).all()
    assert data.policy_logits.isfinite().all()


def test_evaluation_takes_the_likeliest_action_unless_told_to_sample(tmp_path: Path) -> None:
    task = tutorial().tasks[0].model_copy(update={"action_space_id": 1})
    observations = torch.randint(256, (1, 2, 6, 6), dtype=torch.uint8).repeat(300, 1, 1, 1)

    greedy = make(tmp_path).compute_action(observations, task, None, eval_mode=True)
    sampled = make(tmp_path, no_eval_mode=True).compute_action(observations, task, None, eval_mode=True)

    assert set(greedy.actions.tolist()) == {int(greedy.policy_logits[0].argmax())}
    assert len(set(sampled.actions.tolist())) > 1


def test_acting_again_on_what_the_learner_sees_gives_the_same_logits(tmp_path: Path) -> None:
    """The inputs that acting makes of the last step are those that a rollout stores."""
    policy = make(tmp_path, num_actors=6, runner="batch")
    task = tutorial().tasks[0]
    policy = make_policy(
        ImpalaPolicy, policy.config, tmp_path, observation_space=task.observation_space, num_actions=(3,)
    )
    with policy.get_environment_runner(task, seed=np.random.SeedSequence(3)) as runner:
        runner.collect_data()
        (batch,) = runner.collect_data().rollouts

    outputs = policy._evaluate(batch)

    torch.testing.assert_close(outputs.policy_logits[:-1], batch.extras["policy_logits"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(outputs.values[:-1], batch.extras["values"], rtol=1e-5, atol=1e-6)
    assert (~batch.valid).any()
    assert batch.last_rewards.any()


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam"}, {"momentum": 0.5}, {"normalize_reward": True}])
def test_a_saved_policy_goes_on_identically(tmp_path: Path, settings: dict[str, Any]) -> None:
    policy = make(tmp_path, **settings)
    policy.train([rollout(1)], progress=PROGRESS)
    file = io.BytesIO()
    torch.save(policy.state_dict(), file)
    file.seek(0)
    resumed = make(tmp_path, **settings)
    resumed.load_state_dict(torch.load(file, weights_only=True))

    for each in (policy, resumed):
        each.train([rollout(2)], progress=PROGRESS)

    for mine, theirs in zip(policy.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(policy.generator.get_state(), resumed.generator.get_state())


def test_an_acting_copy_is_apart(tmp_path: Path) -> None:
    policy = make(tmp_path)
    clone = policy.acting_copy(seed=5)
    before = copy.deepcopy(clone.network.state_dict())

    policy.train([rollout()], progress=PROGRESS)

    assert not hasattr(clone, "optimizer")
    assert all(torch.equal(before[name], value) for name, value in clone.network.state_dict().items())
    clone.load_acting_state(policy.acting_state())
    assert all(
        torch.equal(policy.network.state_dict()[name], value) for name, value in clone.network.state_dict().items()
    )
    assert clone.generator.initial_seed() == 5


@pytest.mark.parametrize(
    "settings",
    [
        {"conv_net_arch": "8xorig"},
        {"conv_net_arch": "impala_res_cnn"},
        {"conv_net_arch": "none"},
        {"sep_critic_conv_net": True},
        {"baseline_extended_arch": True},
        {"baseline_includes_uncertainty": True},
        {"precision": "bf16"},
    ],
)
def test_every_network_trains(tmp_path: Path, settings: dict[str, Any]) -> None:
    policy = make(tmp_path, **settings)
    before = copy.deepcopy(policy.network.state_dict())

    metrics = policy.train([rollout()], progress=PROGRESS)

    assert metrics["gradient_norm"] > 0
    changed = {name for name, value in policy.network.state_dict().items() if not torch.equal(before[name], value)}
    assert len(changed) == len(before)


def test_wider_networks_have_the_documented_channels(tmp_path: Path) -> None:
    space = Box(0, 255, (4, 84, 84), "uint8")
    for architecture, first in (("orig", 32), ("8xorig", 192), ("32xorig", 448)):
        policy = make_policy(ImpalaPolicy, ImpalaConfig(conv_net_arch=architecture), tmp_path, observation_space=space)
        assert policy.network.encoder.convolutions[0].out_channels == first
        assert policy.network.encoder.convolutions[2].out_channels == 2 * first


def test_the_network_is_the_one_documented(tmp_path: Path) -> None:
    space = Box(0, 255, (4, 84, 84), "uint8")
    policy = make_policy(ImpalaPolicy, ImpalaConfig(), tmp_path, observation_space=space, num_actions=(18,))

    convolutions = (4 * 64 * 32 + 32) + (32 * 16 * 64 + 64) + (64 * 9 * 64 + 64)
    core = 512 + 18 + 1  # features, one-hot last action, last reward
    heads = (core * 18 + 18) + (core + 1)
    assert sum(each.numel() for each in policy.network.parameters()) == convolutions + (3136 * 512 + 512) + heads


def test_continuous_actions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="ImpalaPolicy needs Discrete actions"):
        ImpalaPolicy(
            CONFIG,
            Box(0, 1, (3,)),
            {0: Box(-1, 1, (2,))},
            task_ids=["task"],
            device=torch.device("cpu"),
            seed=0,
            workspace=None,  # type: ignore[arg-type]  # it keeps no files
        )
