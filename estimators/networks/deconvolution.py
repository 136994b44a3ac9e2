"""Deconvolutions that double the resolution of feature maps, as in the heads of SimpleBaseline and ViTPose."""

from __future__ import annotations

from torch import nn


def deconvolutions(inputs: int, *widths: int) -> nn.Sequential:
    """For each width a 4x4 deconvolution of stride 2, batch norm and ReLU; parameters have keys 0, 1, 3, 4, ..."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.ConvTranspose2d(inputs, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers)
