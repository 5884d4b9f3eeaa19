"""How much memory of a device images in flight may take."""

from __future__ import annotations

import torch

SHARE = 0.8  # of what is free: graphs and libraries take some, too


def room(device: torch.device, most: int) -> int:
    """Bytes for images in flight: `most`, or less on a card with less that is free."""
    if device.type != "cuda":
        return most
    free, _ = torch.cuda.mem_get_info(device)
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(1, min(most, int(SHARE * (free + cached))))
