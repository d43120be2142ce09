"""What every test that times something has to itself."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """Before each time garbage is collected: a third of a second, unless what is there already is left out."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
