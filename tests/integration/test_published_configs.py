"""Configs written for the original system load and run as they are, shortened by flags."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SHORT = [
    *("--num-timesteps", "40", "--cycle-count", "1", "--no-initial-eval", "--continual-eval-num-returns", "1"),
    *("--eval-max-steps", "20", "--device", "cpu"),
]
SMALL = ["--num-actors", "2", "--batch-size", "2"]

# Every name that users of the original have, each with a value it could have there.
IMPALA: dict[str, Any] = json.loads("""{
    "timesteps_per_save": 30000, "comment": "from the paper", "num_actors": 2, "batch_size": 2, "unroll_length": 8,
    "num_buffers": 12, "num_learner_threads": 2, "use_lstm": false, "entropy_cost": 0.0006, "baseline_cost": 0.5,
    "discounting": 0.99, "reward_clipping": "abs_one", "normalize_reward": false, "learning_rate": 0.00048,
    "optimizer": "rmsprop", "use_scheduler": true, "alpha": 0.99, "momentum": 0, "epsilon": 0.01,
    "grad_norm_clipping": 40, "device": "auto", "disable_checkpoint": false, "render_freq": 200000,
    "seconds_between_yields": 5, "pause_actors_during_yield": true, "eval_episode_num_parallel": 10,
    "conv_net_arch": "orig", "sep_critic_conv_net": false, "baseline_extended_arch": false,
    "baseline_includes_uncertainty": false, "no_eval_mode": false
}""")
CLEAR: dict[str, Any] = IMPALA | json.loads("""{
    "replay_buffer_frames": 1e4, "batch_replay_ratio": 1.0, "always_reuse_actor_indices": false,
    "policy_cloning_cost": 0.01, "value_cloning_cost": 0.005, "large_file_path": "scratch", "policy_unique_id": "",
    "torch_multiprocessing_sharing_strategy": "file_system"
}""")
PPO: dict[str, Any] = json.loads("""{
    "timesteps_per_save": 30000, "comment": "", "eps": 1e-5, "learning_rate": 7e-4, "gamma": 0.99, "use_gae": false,
    "gae_lambda": 0.95, "entropy_coef": 0.01, "value_loss_coef": 0.5, "max_grad_norm": 0.5, "num_processes": 16,
    "num_steps": 5, "ppo_epoch": 4, "num_mini_batch": 32, "clip_param": 0.2, "use_proper_time_limits": false,
    "recurrent_policy": false, "use_linear_lr_decay": false, "decay_over_steps": 1e7, "cuda": true,
    "render_collection_freq": 200000, "clip_reward": true
}""")
IGNORED = {
    "impala": "num_buffers num_learner_threads disable_checkpoint seconds_between_yields pause_actors_during_yield",
    "clear": "num_buffers num_learner_threads disable_checkpoint seconds_between_yields "
    "pause_actors_during_yield always_reuse_actor_indices policy_unique_id torch_multiprocessing_sharing_strategy",
    "ppo": "use_proper_time_limits cuda render_collection_freq",
}


@pytest.mark.parametrize("policy", ["clear", "impala", "ppo"])
@pytest.mark.timeout(240)
def test_the_published_atari_settings_run(crl: Any, tmp_path: Path, policy: str) -> None:
    flags = ["--num-processes", "2", "--num-steps", "5"] if policy == "ppo" else SMALL
    if policy == "clear":
        flags = [*flags, "--replay-buffer-frames", "2000", "--large-file-path", "scratch"]
    config = ROOT / "configs" / f"{policy}_atari.json"
    result = crl("run", "--config-file", str(config), *SHORT, *flags)
    assert (result.returncode, result.stderr) == (0, "")
    directory = tmp_path / "runs" / f"{policy}_atari" / "0"
    assert json.loads((directory / "status.json").read_text())["state"] == "finished"
    record = json.loads((directory / "run.json").read_text())
    assert record["queue"]["written"] == json.loads(config.read_text())[0]
    assert record["queue"]["overrides"]["num_timesteps"] == "40"
    assert [task["id"] for task in record["experiment"]["tasks"]] == [
        *("space_invaders", "krull", "beam_rider", "hero", "star_gunner", "ms_pacman"),
    ]
    names = {json.loads(line)["name"] for line in (directory / "metrics.jsonl").read_text().splitlines()}
    assert {f"eval_reward/{task}" for task in range(6)} <= names
    if policy == "clear":
        assert list((tmp_path / "scratch").glob("*/data.mdb"))


@pytest.mark.parametrize(("policy", "settings"), [("clear", CLEAR), ("impala", IMPALA), ("ppo", PPO)])
def test_every_name_of_the_original_is_taken(crl: Any, tmp_path: Path, policy: str, settings: dict[str, Any]) -> None:
    entry = {"policy": policy, "experiment": "tutorial", **settings}
    (tmp_path / "old.json").write_text(json.dumps([entry]))
    result = crl("run", "--config-file", "old.json", *SHORT)
    assert (result.returncode, result.stderr) == (0, "")
    warnings = re.findall(r"^warning: ignored: (\w+), because ", result.stdout, re.MULTILINE)
    assert sorted(warnings) == sorted(IGNORED[policy].split())
    record = json.loads((tmp_path / "runs" / "old" / "0" / "run.json").read_text())
    taken = {**record["run"], **record["policy"]["settings"]}
    assert {name for name in settings if name not in taken} == set(warnings)
