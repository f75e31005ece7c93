"""PPO's update, equal to a straightforward one; its schedule, masks, state and errors. Discrete actions, mostly."""

from __future__ import annotations

import copy
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.rollouts import OBSERVATION_SPACE, PROGRESS, make_policy, random_rollout
from torch import Tensor
from torch.distributions import Categorical

from crl_core.rollout import Rollout
from crl_core.tutorial import tutorial
from crl_policies_ppo.config import PpoConfig
from crl_policies_ppo.policy import PpoPolicy

SETTINGS: dict[str, Any] = {
    "num_processes": 4,
    "num_steps": 7,
    "num_mini_batch": 3,
    "ppo_epoch": 2,
    "precision": "fp32",
    "entropy_coef": 0.02,
    "learning_rate": 1e-3,
}
METRICS = {
    "loss/policy",
    "loss/value",
    "loss/entropy",
    "entropy",
    "approx_kl",
    "clip_fraction",
    "learning_rate",
    "gradient_norm",
}


def make(tmp_path: Path, **settings: Any) -> PpoPolicy:
    policy: PpoPolicy = make_policy(PpoPolicy, PpoConfig(**{**SETTINGS, **settings}), tmp_path)
    return policy


def collected(seed: int = 1, columns: int = 4, steps: int = 7) -> Rollout:
    """Return a rollout as PPO's actors would have left it, but for weights that have changed since."""
    rollout = random_rollout(num_steps=steps, num_columns=columns, num_actions=3, head=5, seed=seed)
    behaviour = Categorical(logits=rollout.extras["policy_logits"])
    extras = {"log_probs": behaviour.log_prob(rollout.actions), "values": rollout.extras["values"]}
    return replace(rollout, extras=extras)


def reference_advantages(policy: PpoPolicy, rollout: Rollout) -> tuple[Tensor, Tensor]:
    """Return advantages and returns, row by row."""
    config = policy.config
    values = torch.cat([rollout.extras["values"], torch.zeros(1, rollout.num_columns)])
    prepared = rollout.observations[-1].float() / 255
    values[-1] = policy.network(prepared, rollout.num_actions).values.detach()
    advantages = torch.zeros_like(rollout.rewards)
    gae_lambda = config.gae_lambda if config.use_gae else 1.0
    for n in range(rollout.num_columns):
        following = 0.0
        for t in reversed(range(rollout.num_steps)):
            if not rollout.valid[t, n]:
                following = 0.0
                continue
            discount = 0.0 if rollout.terminated[t, n] else config.gamma
            reward = float(rollout.rewards[t, n].clamp(-1, 1) if config.clip_reward else rollout.rewards[t, n])
            carried = 0.0 if rollout.truncated[t, n] else following
            delta = reward + discount * float(values[t + 1, n]) - float(values[t, n])
            following = delta + discount * gae_lambda * carried
            advantages[t, n] = following
    return advantages, values[:-1] + advantages


def reference_update(policy: PpoPolicy, *rollouts: Rollout) -> None:
    """Train as the original implementation does, on the minibatches that the policy's generator gives."""
    config = policy.config
    rows = []
    for rollout in rollouts:
        advantages, returns = reference_advantages(policy, rollout)
        places = [(t, n) for t in range(rollout.num_steps) for n in range(rollout.num_columns)]
        rows += [(rollout, t, n, advantages[t, n], returns[t, n]) for t, n in places if rollout.valid[t, n]]
    learned = torch.stack([advantage for *_, advantage, _ in rows])
    mean, deviation = learned.mean(), (learned - learned.mean()).square().mean().sqrt()
    optimizer = torch.optim.Adam(policy.network.parameters(), lr=config.learning_rate, eps=config.eps)
    for _ in range(config.ppo_epoch):
        order = torch.randperm(len(rows), generator=policy.generator).tolist()
        for part in np.array_split(order, config.num_mini_batch):
            losses = []
            for rollout, t, n, estimate, value_return in (rows[index] for index in part):
                outputs = policy.network(rollout.observations[t, n][None].float() / 255, rollout.num_actions[n][None])
                current = Categorical(logits=outputs.policy.logits[0])
                ratio = (current.log_prob(rollout.actions[t, n]) - rollout.extras["log_probs"][t, n]).exp()
                advantage = (estimate - mean) / (deviation + 1e-5)
                clipped_ratio = ratio.clamp(1 - config.clip_param, 1 + config.clip_param)
                old, value = rollout.extras["values"][t, n], outputs.values[0]
                clipped_value = old + (value - old).clamp(-config.clip_param, config.clip_param)
                errors = torch.stack([(value - value_return) ** 2, (clipped_value - value_return) ** 2])
                if not config.use_clipped_value_loss:
                    errors = errors[:1]
                losses.append(
                    -torch.min(ratio * advantage, clipped_ratio * advantage)
                    + config.value_loss_coef * 0.5 * errors.max()
                    - config.entropy_coef * current.entropy()
                )
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(policy.network.parameters(), config.max_grad_norm)
            optimizer.step()


@pytest.mark.parametrize(
    "settings", [{}, {"use_gae": True, "clip_reward": False, "clip_param": 0.1}, {"use_clipped_value_loss": False}]
)
def test_update_equals_a_straightforward_one(tmp_path: Path, settings: dict[str, Any]) -> None:
    policy, expected = make(tmp_path, **settings), make(tmp_path, **settings)
    before = copy.deepcopy(policy.network.state_dict())
    rollout = collected()
    reference_update(expected, rollout)
    metrics = policy.train([rollout], progress=PROGRESS)
    assert set(metrics) == METRICS
    for name, weights in expected.network.state_dict().items():
        torch.testing.assert_close(policy.network.state_dict()[name], weights, rtol=1e-3, atol=1e-5)
    assert any((before[name] != weights).any() for name, weights in policy.network.state_dict().items())


def test_what_reset_rows_hold_changes_nothing(tmp_path: Path) -> None:
    rollout = collected()
    invalid = ~rollout.valid
    assert invalid.any()
    after_truncation = torch.zeros_like(invalid)
    after_truncation[1:] = rollout.truncated[:-1]  # their values are those of true last observations
    noise = {
        "log_probs": rollout.extras["log_probs"] - 50.0 * invalid,
        "values": rollout.extras["values"] + 50.0 * (invalid & ~after_truncation),
    }
    noisy = replace(rollout, rewards=rollout.rewards + 50.0 * invalid, extras=noise)
    first, second = make(tmp_path), make(tmp_path)
    assert first.train([rollout], progress=PROGRESS) == second.train([noisy], progress=PROGRESS)


def test_rollouts_of_different_lengths_are_learned_from_together(tmp_path: Path) -> None:
    policy, expected = make(tmp_path), make(tmp_path)
    rollouts = [collected(1, columns=1, steps=9), collected(2, columns=2, steps=3), collected(3, columns=1, steps=1)]
    reference_update(expected, *rollouts)
    assert set(policy.train(rollouts, progress=PROGRESS)) == METRICS
    for name, weights in expected.network.state_dict().items():
        torch.testing.assert_close(policy.network.state_dict()[name], weights, rtol=1e-3, atol=1e-5)


def test_fewer_valid_rows_than_minibatches(tmp_path: Path) -> None:
    rollout = collected()
    only = torch.zeros_like(rollout.valid)
    only[3, 1] = True
    policy = make(tmp_path)
    assert set(policy.train([replace(rollout, valid=only)], progress=PROGRESS)) == METRICS
    before = copy.deepcopy(policy.state_dict())
    none = replace(rollout, valid=torch.zeros_like(only))
    assert policy.train([none], progress=PROGRESS) == {"learning_rate": 1e-3}
    for name, weights in policy.network.state_dict().items():
        assert torch.equal(weights, before["network"][name])


@pytest.mark.parametrize(("total_steps", "left"), [(0, 1.0), (250, 0.75), (1000, 0.0), (1001, 0.0), (9000, 0.0)])
def test_learning_rate_falls_to_zero_and_stays(tmp_path: Path, total_steps: int, left: float) -> None:
    policy = make(tmp_path, use_linear_lr_decay=True, decay_over_steps=1000)
    metrics = policy.train([collected()], progress=replace(PROGRESS, total_steps=total_steps))
    assert metrics["learning_rate"] == pytest.approx(1e-3 * left)
    assert policy.optimizer.param_groups[0]["lr"] == metrics["learning_rate"]


def test_learning_rate_stays_without_decay(tmp_path: Path) -> None:
    progress = replace(PROGRESS, total_steps=10**9)
    assert make(tmp_path).train([collected()], progress=progress)["learning_rate"] == 1e-3


@torch.no_grad()
def test_acting(tmp_path: Path) -> None:
    policy = make(tmp_path)
    task = tutorial().tasks[0]
    observations = torch.randint(256, (2000, *OBSERVATION_SPACE.shape), dtype=torch.uint8)
    data = policy.compute_action(observations, task, None, eval_mode=False)
    assert set(data.actions.tolist()) == {0, 1, 2}  # the head has five actions, the task three
    assert set(data.extras()) == {"log_probs", "values"}
    outputs = policy.network(observations.float() / 255, torch.full((2000,), 3))
    torch.testing.assert_close(data.log_probs, Categorical(logits=outputs.policy.logits).log_prob(data.actions))
    torch.testing.assert_close(data.values, outputs.values)
    before = policy.generator.get_state()
    likeliest = policy.compute_action(observations, task, None, eval_mode=True)
    assert torch.equal(likeliest.actions, outputs.policy.logits.argmax(dim=1))
    assert torch.equal(policy.generator.get_state(), before)
    sampled = make(tmp_path, no_eval_mode=True).compute_action(observations, task, None, eval_mode=True)
    assert torch.equal(sampled.actions, data.actions)


def test_state_survives_a_checkpoint(tmp_path: Path) -> None:
    policy = make(tmp_path)
    policy.train([collected(1)], progress=PROGRESS)
    file = io.BytesIO()
    torch.save(policy.state_dict(), file)
    file.seek(0)
    restored: PpoPolicy = make_policy(PpoPolicy, policy.config, tmp_path, seed=9)
    restored.load_state_dict(torch.load(file, weights_only=True))
    assert policy.train([collected(2)], progress=PROGRESS) == restored.train([collected(2)], progress=PROGRESS)


def test_acting_copies_leave_the_optimizer_out(tmp_path: Path) -> None:
    assert not hasattr(make(tmp_path).acting_copy(seed=1), "optimizer")


def test_bf16_trains(tmp_path: Path) -> None:
    policy = make(tmp_path, precision="bf16")
    metrics = policy.train([collected()], progress=PROGRESS)
    assert all(np.isfinite(value) for value in metrics.values())
