"""The command line, `crl`. Each command lives in a module of its own, imported when the command is used."""
