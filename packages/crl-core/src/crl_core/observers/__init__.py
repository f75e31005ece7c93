"""Observers: what watches a run. Each sees the same events and none can change the run."""
