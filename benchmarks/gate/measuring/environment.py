"""What a comparison was made on."""

import platform

import torch

from sdtps_ref.benchmarks.gate.measuring.clock import clock_for


def environment(device: str, threads: int) -> dict[str, str]:
    """Names and values for people; a ratio means the same elsewhere only where these are alike."""
    on_gpu = device != "cpu"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else f"cpu {torch.backends.cpu.get_cpu_capability()}",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": str(threads),
        "clock": clock_for(device, threads).says,
    }
