"""A command."""

import click


@click.command()
@click.option("--name", default="world")
def greet(name: str) -> None:
    """Say hello."""
    click.echo(f"hello {name}")
