"""What `crl new` writes: packages that work as they are, made from the examples in `templates`.

The examples are real packages, so that they are linted, type-checked and read like any other; only their names are
replaced.
"""
