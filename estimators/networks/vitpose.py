"""ViTPose, a top-down network: a plain vision transformer on patches of 16 x 16 pixels and two deconvolutions.

Paper: Xu et al. 2022, "ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation". Original code and
weights: ViTAE-Transformer/ViTPose and open-mmlab/mmpose 1.x, both Apache-2.0; the architecture is the same, the names
of layers differ.

Input: crops (N, 3, 256, 192), the size for which position embeddings were learned; RGB, ImageNet's mean and standard
deviation, unbiased crop and decoding (UDP). Output: heatmaps (N, 17, 64, 48).

The original has a position embedding for a class token, though it has no such token; it is added to each patch. The
image is padded by two pixels, so patches are two pixels left of and above a grid without padding. S has 12 heads, like
B.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import stochastic_depth

from .deconvolution import deconvolutions

_PATCH = 16
_GRID = (256 // _PATCH, 192 // _PATCH)
_BLOCKS = 12
_HEADS = 12
_EXPANSION = 4
_EPS = 1e-6
_DROP_PATH = {384: 0.1, 768: 0.3}  # of the last block in training, by the width of S and B


class Attention(nn.Module):
    """Self-attention among all patches with twelve heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, patches, width) -> the same shape."""
        query, key, value = self.qkv(x).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Block(nn.Sequential):
    """Transformer block of four layers in this order, with any names: norm, attention, norm, feed-forward.

    In training, each of its two shortcuts is taken alone for a share `drop_path` of the samples (stochastic depth,
    Huang et al. 2016).
    """

    drop_path = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(N, patches, width) -> the same shape."""
        norm1, attention, norm2, feed_forward = self
        x = x + self._dropped(attention(norm1(x)))
        return x + self._dropped(feed_forward(norm2(x)))

    def _dropped(self, branch: Tensor) -> Tensor:
        return stochastic_depth(branch, self.drop_path, "row", self.training)


class Body(nn.Sequential):
    """Backbone of three layers in this order, with any names: patches, blocks, norm; and position embeddings."""

    def __init__(self, layers: OrderedDict[str, nn.Module], width: int, *, class_token: bool) -> None:
        super().__init__(layers)
        self.class_token = class_token
        self.pos_embed = nn.Parameter(torch.zeros(1, _GRID[0] * _GRID[1] + class_token, width))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, 256, 192) -> (N, width, 16, 12)."""
        patches, blocks, norm = self
        positions = self.pos_embed[:, 1:] + self.pos_embed[:, :1] if self.class_token else self.pos_embed
        x = patches(images).flatten(2).transpose(1, 2) + positions
        return norm(blocks(x)).transpose(1, 2).unflatten(2, _GRID)


class Head(nn.Module):
    """Head: two deconvolutions from stride 16 to stride 4, then one heatmap per joint."""

    def __init__(self, inputs: int, joints: int) -> None:
        super().__init__()
        self.deconv_layers = deconvolutions(inputs, 256, 256)
        self.final_layer = nn.Conv2d(256, joints, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, 16, 12) -> (N, joints, 64, 48)."""
        return self.final_layer(self.deconv_layers(x))


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _blocks(make: Callable[[], Block], width: int) -> nn.Sequential:
    """All blocks; their drop path rises linearly from 0 to the published rate, which is lower for S."""
    blocks = [make() for _ in range(_BLOCKS)]
    for i, block in enumerate(blocks):
        block.drop_path = _DROP_PATH[width] * i / (_BLOCKS - 1)
    return nn.Sequential(*blocks)


def _patches(width: int) -> nn.Conv2d:
    return nn.Conv2d(3, width, _PATCH, _PATCH, padding=2)


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=_EPS)


def vitpose_mmpose(width: int, *, joints: int = 17) -> nn.Module:
    """ViTPose with layers named as in mmpose 1.x; S has `width` 384, B 768."""

    def block() -> Block:
        expand = nn.Sequential(nn.Linear(width, _EXPANSION * width), nn.GELU())
        feed_forward = _named(layers=nn.Sequential(expand, nn.Linear(_EXPANSION * width, width)))
        return Block(OrderedDict(ln1=_norm(width), attn=Attention(width), ln2=_norm(width), ffn=feed_forward))

    body: OrderedDict[str, nn.Module] = OrderedDict(
        patch_embed=_named(projection=_patches(width)),
        layers=_blocks(block, width),
        ln1=_norm(width),
    )
    return _named(backbone=Body(body, width, class_token=False), head=Head(width, joints))


def vitpose_vitae(width: int, *, joints: int = 17) -> nn.Module:
    """ViTPose with layers named as in ViTAE-Transformer/ViTPose; S has `width` 384, B 768."""

    def block() -> Block:
        feed_forward = _named(
            fc1=nn.Linear(width, _EXPANSION * width), act=nn.GELU(), fc2=nn.Linear(_EXPANSION * width, width)
        )
        return Block(OrderedDict(norm1=_norm(width), attn=Attention(width), norm2=_norm(width), mlp=feed_forward))

    body: OrderedDict[str, nn.Module] = OrderedDict(
        patch_embed=_named(proj=_patches(width)),
        blocks=_blocks(block, width),
        last_norm=_norm(width),
    )
    return _named(backbone=Body(body, width, class_token=True), keypoint_head=Head(width, joints))
