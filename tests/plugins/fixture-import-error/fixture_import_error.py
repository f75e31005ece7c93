"""A plugin that needs something that is not there."""

raise ImportError("the library flux is missing")
