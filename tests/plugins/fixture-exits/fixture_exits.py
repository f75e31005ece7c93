"""A plugin that ends the program."""

import sys

print("noise from a plugin")
sys.exit(3)
