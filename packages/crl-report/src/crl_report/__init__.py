"""Reports of continual reinforcement learning runs: curves, forgetting, transfer."""
