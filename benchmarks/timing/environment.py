"""What a time means nothing without: versions, device, settings and clock, in the words of a certificate."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy
import torch

from sdtps_ref import __version__
from sdtps_ref.benchmarks.timing.clock import clock_for
from sdtps_ref.errors import InvalidInput

NO_GPU = "no GPU: torch.cuda.is_available() is False"


def environment(device: str, threads: int | None = None) -> dict[str, Any]:
    """What everything measured here is recorded with.

    Fields that a certificate has too have the same names and values.

    Args:
        device: "cpu", "cuda" or "cuda:1".
        threads: How many threads the CPU works with; None is torch's setting.
    """
    cuda = torch.device(device).type == "cuda"
    return {
        "suite": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "platform": sys.platform,
        "device": device,
        "device_name": torch.cuda.get_device_name(device) if cuda else platform.machine(),
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda,
        "driver": _driver() if cuda else None,
        "threads": torch.get_num_threads() if threads is None else threads,
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "clock": clock_for(device, threads).description,
    }


def in_words(given: dict[str, Any]) -> str:
    """One line for a person: the part of `environment` that ratios and times depend on most."""
    cuda = torch.device(given["device"]).type == "cuda"
    name = given["device_name"] if cuda else f"{given['processor']} ({given['capability']})"
    threads = f"{given['threads']} thread{'s' * (given['threads'] != 1)}"
    versions = f"torch {given['torch']}, Python {given['python']}"
    return f"{name}; {versions}; {threads}, TF32 {'on' if given['tf32'] else 'off'}; {given['clock']}"


def why_no_gpu() -> str:
    """Why there is no CUDA; empty where there is."""
    if torch.cuda.is_available():
        return ""
    built = "and this torch is built without CUDA" if torch.version.cuda is None else "though torch is built for it"
    return f"{NO_GPU}, {built}"


def check_device(asked: str) -> str:
    """Return `asked` if it names the CPU or a GPU that is there. Raises InvalidInput."""
    try:
        device = torch.device(asked)
    except RuntimeError:
        device = torch.device("meta")
    why = why_no_gpu()
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and why):
        raise InvalidInput.given(f"--device {asked}", f"cpu ({why})" if why else "cpu, cuda, cuda:1")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidInput.given(f"--device {asked}", f"cuda:0 to cuda:{torch.cuda.device_count() - 1}")
    return asked


def _processor() -> str:
    """The processor's name: platform.processor() is empty on most Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _driver() -> str | None:
    """The kernel module's version, which torch does not tell."""
    try:
        line = Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return None
    return next((word for word in line.split() if word[0].isdigit()), line)
