"""A plugin whose registrations look right and lead nowhere."""
