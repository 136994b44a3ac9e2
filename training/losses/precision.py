"""Outputs in a precision that sums can be computed in."""

from __future__ import annotations

import torch
from torch import Tensor


def precise(outputs: Tensor) -> Tensor:
    """Outputs in float32 at least; those of mixed precision training are in bfloat16 or float16."""
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))
