"""What a verdict rests on besides the implementation: versions, device, profile, seed."""

import platform
import sys
from typing import Any

import hypothesis
import numpy
import torch

from sdtps_ref import __version__
from sdtps_ref.properties.certificates.certificate import digest
from sdtps_ref.properties.engine.example_database import shown
from sdtps_ref.properties.engine.settings import RunSettings

SPEC_VERSION = "1"


def environment(settings: RunSettings, isolation: str) -> dict[str, Any]:
    """What the verdict rests on besides the implementation."""
    device = settings.device
    return {
        "spec": SPEC_VERSION,
        "suite": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "hypothesis": hypothesis.__version__,
        "python": platform.python_version(),
        "platform": sys.platform,
        "device": device,
        "device_name": torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine(),
        "profile": settings.profile.name,
        "seed": settings.seed,
        "laws": "all" if settings.laws is None else list(settings.laws),
        "shard": None if settings.shard is None else "{}/{}".format(*settings.shard),
        "isolation": isolation,
        "expected": digest({law_id: entry.to_json() for law_id, entry in settings.expected.items()}),
        "databases": [shown(address) for address in settings.examples.addresses] if settings.examples else [],
    }
