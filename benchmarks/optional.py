"""Packages of the extra `bench`: imported where they are needed, with one line that tells how to get them."""

from importlib import import_module
from types import ModuleType

from sdtps_ref.errors import SDTPSError


class MissingPackage(SDTPSError):
    """An optional package that a command needs is not installed."""


def optional(module: str) -> ModuleType:
    """The module of that name. Raises MissingPackage where its package is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise MissingPackage(f"{package} is not installed; accepted: pip install 'sdtps-ref[bench]'") from error
