"""ViTPose: a plain vision transformer over patches of 16 pixels, then two deconvolutions; under two sets of names.

Paper: Xu et al. 2022, "ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation". Original code:
ViTAE-Transformer/ViTPose and its second home open-mmlab/mmpose 1.x, both Apache-2.0: the same steps, other keys.
Input: one person, 192 wide and 256 high (the places of the patches are learned for that size), RGB, ImageNet's mean and
deviation, crop and decoding without quantisation (UDP).
Output: (N, 17, 64, 48), a map per joint at stride 4.

The original has a place for a class token, though there is none: that entry is added to every patch. Patches are padded
by two pixels at each side, so they stand two pixels left of and above a plain grid. S has 12 heads, as B.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .deconvolution import deconvolutions

_JOINTS = 17
_PATCH = 16
_GRID = (256 // _PATCH, 192 // _PATCH)
_BLOCKS = 12
_HEADS = 12
_EXPANSION = 4
_EPS = 1e-6


class Attention(nn.Module):
    """Every patch looks at every patch, with twelve heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, patches, width) -> the same."""
        query, key, value = self.qkv(x).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Block(nn.Sequential):
    """Norm, attention, norm, feed-forward, in this order and under any names; both pairs add to what they read."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, patches, width) -> the same."""
        norm1, attention, norm2, feed_forward = self
        x = x + attention(norm1(x))
        return x + feed_forward(norm2(x))


class Body(nn.Sequential):
    """Patches, blocks, norm, in this order and under any names, and what is learned about a patch's place."""

    def __init__(self, layers: OrderedDict[str, nn.Module], width: int, *, class_token: bool) -> None:
        super().__init__(layers)
        self.class_token = class_token
        self.pos_embed = nn.Parameter(torch.zeros(1, _GRID[0] * _GRID[1] + class_token, width))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, 256, 192) -> (N, width, 16, 12)."""
        patches, blocks, norm = self
        places = self.pos_embed[:, 1:] + self.pos_embed[:, :1] if self.class_token else self.pos_embed
        x = patches(images).flatten(2).transpose(1, 2) + places
        return norm(blocks(x)).transpose(1, 2).unflatten(2, _GRID)


class Head(nn.Module):
    """From stride 16 to stride 4, then a map per joint."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.deconv_layers = deconvolutions(inputs, 256, 256)
        self.final_layer = nn.Conv2d(256, _JOINTS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, 16, 12) -> (N, 17, 64, 48)."""
        return self.final_layer(self.deconv_layers(x))


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _patches(width: int) -> nn.Conv2d:
    return nn.Conv2d(3, width, _PATCH, _PATCH, padding=2)


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=_EPS)


def vitpose_mmpose(width: int) -> nn.Module:
    """ViTPose with the keys of mmpose 1.x; 384 numbers per patch is S, 768 is B."""

    def block() -> Block:
        rise = nn.Sequential(nn.Linear(width, _EXPANSION * width), nn.GELU())
        feed_forward = _named(layers=nn.Sequential(rise, nn.Linear(_EXPANSION * width, width)))
        return Block(OrderedDict(ln1=_norm(width), attn=Attention(width), ln2=_norm(width), ffn=feed_forward))

    body: OrderedDict[str, nn.Module] = OrderedDict(
        patch_embed=_named(projection=_patches(width)),
        layers=nn.Sequential(*(block() for _ in range(_BLOCKS))),
        ln1=_norm(width),
    )
    return _named(backbone=Body(body, width, class_token=False), head=Head(width))


def vitpose_vitae(width: int) -> nn.Module:
    """ViTPose with the keys of the original; 384 numbers per patch is S, 768 is B."""

    def block() -> Block:
        feed_forward = _named(
            fc1=nn.Linear(width, _EXPANSION * width), act=nn.GELU(), fc2=nn.Linear(_EXPANSION * width, width)
        )
        return Block(OrderedDict(norm1=_norm(width), attn=Attention(width), norm2=_norm(width), mlp=feed_forward))

    body: OrderedDict[str, nn.Module] = OrderedDict(
        patch_embed=_named(proj=_patches(width)),
        blocks=nn.Sequential(*(block() for _ in range(_BLOCKS))),
        last_norm=_norm(width),
    )
    return _named(backbone=Body(body, width, class_token=True), keypoint_head=Head(width))
