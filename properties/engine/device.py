"""Whether torch has a device here: asked before any law runs on it."""

import torch

from sdtps_ref.errors import InvalidInput


def why_absent(device: str) -> str | None:
    """Why nothing can be computed on the device, in the words of torch; None where it can."""
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # each kind of device has its own way of not being there
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return None


def check_device(device: str) -> None:
    """Raise InvalidInput for a device that torch does not have here."""
    if why := why_absent(device):
        raise InvalidInput.given(f"device {device!r}, which torch does not have here ({why})", "cpu, or cuda and a GPU")
