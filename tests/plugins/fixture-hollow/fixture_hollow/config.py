"""Settings that cannot be used."""

from typing import ClassVar

from pydantic import BaseModel, Field

from crl_core import PolicyConfig


class ForeignConfig(BaseModel):
    rate: float = 0.1


class SeedyConfig(PolicyConfig):
    seed: int = Field(0, description="Reserved.")


class TornConfig(PolicyConfig):
    ignored_settings: ClassVar[dict[str, str]] = {"device": "we know better"}


def raising() -> dict[str, object]:
    raise KeyError("gamma")


def listing() -> list[int]:
    return [1, 2]
