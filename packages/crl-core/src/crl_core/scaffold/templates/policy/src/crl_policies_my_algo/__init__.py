"""The policy my-algo. Nothing is imported here: every `crl` command imports this file."""
