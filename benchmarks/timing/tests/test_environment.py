"""What is recorded with every time, and the devices that are accepted."""

import pytest
import torch

from sdtps_ref.benchmarks.timing.environment import check_device, environment, in_words
from sdtps_ref.errors import InvalidInput
from sdtps_ref.properties.engine import environment as certificates
from sdtps_ref.properties.engine.settings import RunSettings, named_profile

SHARED = {"suite", "torch", "numpy", "python", "platform", "device", "device_name"}


def test_fields_that_a_certificate_has_are_the_same_here() -> None:
    """So that a time and a verdict of one machine can be put side by side."""
    certificate = certificates.environment(RunSettings(named_profile("quick")), "none")
    here = environment("cpu")

    assert certificate.keys() & here.keys() == SHARED
    assert {name: certificate[name] for name in SHARED} == {name: here[name] for name in SHARED}


def test_threads_are_those_that_are_asked_for() -> None:
    """The gate sets them in its own processes; and one thread alone is timed on its core."""
    many = environment("cpu", threads=7)

    assert environment("cpu")["threads"] == torch.get_num_threads()
    assert (many["threads"], many["clock"]) == (7, "wall time")
    assert "7 threads" in in_words(many)


@pytest.mark.parametrize("device", ["tpu", "meta", "cuda:99", "", "cpu cpu"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    """In one line, before anything is loaded."""
    with pytest.raises(InvalidInput, match=rf"^given --device {device}; accepted: "):
        check_device(device)
