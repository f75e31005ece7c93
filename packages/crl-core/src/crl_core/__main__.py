"""`python -m crl_core` is `crl`."""

from crl_core.cli.main import main

if __name__ == "__main__":
    main()
