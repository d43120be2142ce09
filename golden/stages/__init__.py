"""A module a stage; each one's STAGE is what its vector file is made from."""

from importlib import import_module

from sdtps_ref.golden.stage import Stage

NAMES = (
    "noise",
    "soft_mask",
    "decision",
    "selection",
    "extra_token",
    "aggregation",
    "two_branches",
    "scoring",
    "multimodal",
    "pipeline",
    "gradients",
)


def stage(name: str) -> Stage:
    """The stage of that name."""
    return import_module(f"sdtps_ref.golden.stages.{name}").STAGE
