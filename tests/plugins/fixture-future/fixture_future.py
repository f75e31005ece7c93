"""A plugin for a later version of the plugin API."""

raise AssertionError("a plugin for another version was imported")
