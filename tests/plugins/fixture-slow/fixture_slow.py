"""A plugin that takes its time."""

import time

time.sleep(0.3)
