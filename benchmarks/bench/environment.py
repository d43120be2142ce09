"""What a time means nothing without."""

import platform
from pathlib import Path
from typing import Any

import torch

from sdtps_ref import __version__

NO_GPU = "no GPU: torch.cuda.is_available() is False"


def why_no_gpu() -> str:
    """Why CUDA cannot be had; empty where it can."""
    if torch.cuda.is_available():
        return ""
    built = "and this torch is built without CUDA" if torch.version.cuda is None else "though torch is built for it"
    return f"{NO_GPU}, {built}"


def devices(asked: str) -> list[str]:
    """The devices that `asked` names: "auto" is the CPU, and a GPU where there is one."""
    if asked != "auto":
        return [asked]
    return ["cpu", *["cuda"] * torch.cuda.is_available()]


def environment(device: str) -> dict[str, Any]:
    """Device, driver, torch, threads, TF32: recorded with every time."""
    cuda = torch.device(device).type == "cuda"
    return {
        "suite": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "device_name": torch.cuda.get_device_name(device) if cuda else _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda,
        "driver": _driver() if cuda else None,
        "threads": torch.get_num_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


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
