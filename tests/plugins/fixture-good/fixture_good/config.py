"""Settings of every kind."""

from typing import ClassVar, Literal

from pydantic import Field

from crl_core import PolicyConfig


class GoodConfig(PolicyConfig):
    ignored_settings: ClassVar[dict[str, str]] = {"num_buffers": "there are none"}
    supported_runners: ClassVar[tuple[str, ...]] = ("batch",)

    learning_rate: float = Field(7e-4, gt=0, description="Learning rate.")
    use_gae: bool = Field(False, description="Whether advantages are generalized.")
    optimizer: Literal["adam", "rmsprop"] = Field("adam", description="The optimizer.")
    hidden_sizes: tuple[int, ...] = Field((64, 64), min_length=1, description="Units of each layer.")
    warmup_steps: int | None = Field(None, ge=1, le=1000, description="Steps before learning starts.")


def tiny() -> dict[str, object]:
    return {"hidden_sizes": [8], "learning_rate": 0.1}
