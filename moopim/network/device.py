"""Where torch computes."""

import torch

from moopim.errors import ConfigError

__all__ = ["check_device"]


def check_device(device: torch.device | str) -> None:
    """Checks that torch can compute on a device.

    Args:
        device: Such as ``cpu`` or ``cuda``.

    Raises:
        ConfigError: If it cannot.
    """
    try:
        torch.ones(1, device=device).item()  # the device meta gives no numbers
    except (AssertionError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ConfigError(f"device {str(device)!r} cannot be used: {reason}; expected cpu, cuda, ...") from None
