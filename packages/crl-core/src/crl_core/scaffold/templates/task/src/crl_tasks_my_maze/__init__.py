"""The experiment my-maze. Nothing is imported here: every `crl` command imports this file."""
