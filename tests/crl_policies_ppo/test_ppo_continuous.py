"""PPO with continuous actions: one update equal to a straightforward one, acting, and what is refused."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete
from tests.rollouts import OBSERVATION_SPACE, PROGRESS, random_rollout
from torch.distributions import Independent, Normal

from crl_core.errors import ExperimentError
from crl_core.policy import Workspace
from crl_core.rollout import Rollout
from crl_core.tutorial import tutorial
from crl_policies_ppo.config import PpoConfig
from crl_policies_ppo.network import PpoNetwork
from crl_policies_ppo.policy import PpoPolicy

VECTORS = Box(-np.inf, np.inf, (5,))
ACTIONS = Box(np.array([-1.0, -0.5]), np.array([1.0, np.inf]), dtype=np.float64)
SETTINGS: dict[str, Any] = {
    "num_processes": 4,
    "num_steps": 7,
    "num_mini_batch": 1,
    "ppo_epoch": 1,
    "use_gae": True,
    "entropy_coef": 0.02,
    "learning_rate": 1e-3,
}


def make(tmp_path: Path, action_space: gymnasium.Space[Any] = ACTIONS, **settings: Any) -> PpoPolicy:
    return PpoPolicy(
        PpoConfig(**{**SETTINGS, **settings}),
        VECTORS,
        {0: action_space},
        task_ids=["task0"],
        device=torch.device("cpu"),
        seed=0,
        workspace=Workspace(tmp_path, "test"),
    )


def collected() -> Rollout:
    """Return a rollout whose samples lie inside the Box and outside, taken with weights that have changed since."""
    rollout = random_rollout(num_steps=7, num_columns=4, num_actions=3, head=3, seed=1)
    random = torch.Generator().manual_seed(1)
    samples = torch.randn(7, 4, 2, generator=random)
    zeros = torch.zeros(7, 4, 2)
    return replace(
        rollout,
        observations=torch.randn(8, 4, 5, generator=random),
        actions=samples.clamp(-0.5, 1).double(),
        num_actions=torch.zeros(4, dtype=torch.int64),
        extras={
            "samples": samples,
            "log_probs": Independent(Normal(zeros, 1.1), 1).log_prob(samples),
            "values": torch.randn(7, 4, generator=random),
        },
    )


def reference_loss(policy: PpoPolicy, rollout: Rollout) -> torch.Tensor:
    """Return the loss of the first minibatch of all rows, written out from the papers' equations."""
    config, network = policy.config, policy.network
    values_ahead = network(rollout.observations[-1], rollout.num_actions).values.detach()
    old_values = torch.cat([rollout.extras["values"], values_ahead[None]])
    rows: list[tuple[int, int, torch.Tensor]] = []
    for n in range(4):
        following = torch.zeros(())
        for t in reversed(range(7)):
            if not rollout.valid[t, n]:
                following = torch.zeros(())
                continue
            discount = 0.0 if rollout.terminated[t, n] else config.gamma
            delta = rollout.rewards[t, n].clamp(-1, 1) + discount * old_values[t + 1, n] - old_values[t, n]
            carried = torch.zeros(()) if rollout.truncated[t, n] else following
            following = delta + discount * config.gae_lambda * carried
            rows.append((t, n, following))
    advantages = torch.stack([advantage for *_, advantage in rows])
    mean, deviation = advantages.mean(), advantages.std(correction=0)
    losses = []
    for t, n, advantage in rows:
        hidden = torch.tanh(network.encoder.layers[1](rollout.observations[t, n]))
        hidden = torch.tanh(network.encoder.layers[3](hidden))
        means, deviations = network.policy.means(hidden), network.policy.log_stds.exp()
        critic = torch.tanh(network.value_encoder.layers[1](rollout.observations[t, n]))
        critic = torch.tanh(network.value_encoder.layers[3](critic))
        policy_now, sample = Independent(Normal(means, deviations), 1), rollout.extras["samples"][t, n]
        ratio = (policy_now.log_prob(sample) - rollout.extras["log_probs"][t, n]).exp()
        normalized = (advantage - mean) / (deviation + 1e-5)
        surrogate = torch.min(ratio * normalized, ratio.clamp(0.8, 1.2) * normalized)
        value, old_value = network.value(critic)[0], old_values[t, n]
        target = old_value + advantage
        clipped_value = old_value + (value - old_value).clamp(-0.2, 0.2)
        value_loss = 0.5 * torch.max((value - target) ** 2, (clipped_value - target) ** 2)
        losses.append(-surrogate + 0.5 * value_loss - config.entropy_coef * policy_now.entropy())
    return torch.stack(losses).mean()


def test_update_equals_a_straightforward_one(tmp_path: Path) -> None:
    policy, expected = make(tmp_path), make(tmp_path)
    before = copy.deepcopy(policy.network.state_dict())
    rollout = collected()
    assert not rollout.valid.all()
    reference_loss(expected, rollout).backward()  # type: ignore[no-untyped-call]  # torch's own
    torch.nn.utils.clip_grad_norm_(expected.network.parameters(), 0.5)
    torch.optim.Adam(expected.network.parameters(), lr=1e-3, eps=1e-5).step()
    policy.train([rollout], progress=PROGRESS)
    for name, weights in expected.network.state_dict().items():
        torch.testing.assert_close(policy.network.state_dict()[name], weights, rtol=1e-3, atol=1e-5)
        assert not torch.equal(weights, before[name]), name


@torch.no_grad()
def test_acting_clips_and_keeps_what_was_sampled(tmp_path: Path) -> None:
    policy = make(tmp_path)
    task = tutorial().tasks[0]  # all that acting takes from it is its action_space_id
    observations = torch.randn(500, 5)
    data = policy.compute_action(observations, task, None, eval_mode=False)
    assert set(data.extras()) == {"samples", "log_probs", "values"}
    samples = data.extras()["samples"]
    assert data.actions.dtype == torch.float64
    assert all(action in ACTIONS for action in data.actions.numpy())
    inside = (samples == data.actions).all(dim=1)
    assert 0 < inside.sum() < 500
    means = policy.network.policy(policy.network.encoder(observations), torch.zeros(500)).means
    torch.testing.assert_close(data.log_probs, Independent(Normal(means, torch.ones(2)), 1).log_prob(samples))
    before = policy.generator.get_state()
    likeliest = policy.compute_action(observations, task, None, eval_mode=True)
    torch.testing.assert_close(
        likeliest.actions, means.clamp(min=-0.5, max=None).clamp(max=torch.tensor([1.0, 9.0])).double()
    )
    assert torch.equal(policy.generator.get_state(), before)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_actions_of_any_shape_learn(tmp_path: Path, shape: tuple[int, ...]) -> None:
    policy = make(tmp_path, Box(-1, 1, shape))
    rollout = collected()
    samples = torch.randn(7, 4, *shape)
    rollout = replace(rollout, actions=samples.clamp(-1, 1), extras={**rollout.extras, "samples": samples})
    metrics = policy.train([rollout], progress=PROGRESS)
    assert np.isfinite(list(metrics.values())).all()
    assert policy.compute_action(torch.zeros(3, 5), tutorial().tasks[0], None, eval_mode=False).actions.shape == (
        3,
        *shape,
    )


def test_only_images_share_an_encoder() -> None:
    actions, options = Discrete(2), {"convolution_dtype": torch.float32}
    assert PpoNetwork(OBSERVATION_SPACE, actions, **options).value_encoder is None
    vectors = PpoNetwork(VECTORS, actions, **options)
    value = vectors(torch.ones(1, 5), torch.tensor([2])).values.sum()
    encoders = [*vectors.encoder.parameters()]
    assert torch.autograd.grad(value, encoders, allow_unused=True) == (None,) * len(encoders)


def test_the_policy_starts_near_zero_with_unit_deviations(tmp_path: Path) -> None:
    outputs = make(tmp_path).network(torch.randn(100, 5), torch.zeros(100))
    assert outputs.policy.means.abs().max() < 0.1
    assert outputs.policy.log_stds.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Box(0, 255, (2,), np.uint8), "PpoPolicy needs Discrete actions or a Box of real numbers"),
        (Dict({"move": Discrete(2)}), "PpoPolicy needs Discrete actions"),
    ],
)
def test_other_actions_are_refused(tmp_path: Path, space: gymnasium.Space[Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        make(tmp_path, space)
