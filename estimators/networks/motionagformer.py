"""MotionAGFormer: attention and graph convolution in parallel, from 2-D to 3-D joints (Mehraban et al., WACV 2024).

In each layer one branch attends to joints and then to frames, another convolves over the graph of the skeleton and then
over a graph that joins each frame with its most similar ones. Their answers are averaged with weights that depend on
the token. The number of frames is fixed, by the batch normalisation over frames.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from estimators.networks.motionbert import Attention

_FEATURES = 512  # of a joint, before the last layer
_MLP_RATIO = 4
_NEIGHBOURS = 2  # frames that a frame is joined with, itself included
_FIRST_SCALE = 1e-5  # of what a new layer adds

_JOINED_WITH = (
    *((1, 7), (2, 0), (3, 1), (2,), (5, 0), (6, 4), (5,), (0, 8), (7, 9)),
    *((8, 10), (9,), (12, 8), (13, 11), (12,), (15, 8), (16, 14), (15,)),
)
"""Neighbours of each joint of H36M_17 as published: pelvis and thorax do not list all joints that list them."""


class MotionAGFormer(nn.Module):
    """The network with the authors' keys.

    Args:
        layers: number of layers.
        width: features of a token.
        frames: number of frames of every sequence.
    """

    def __init__(self, layers: int, width: int, frames: int) -> None:
        super().__init__()
        self.joints_embed = nn.Linear(3, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, len(_JOINED_WITH), width))
        self.layers = nn.ModuleList(_Layer(width, frames) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.rep_logit = nn.ModuleDict({"fc": nn.Linear(width, _FEATURES)})
        self.head = nn.Linear(_FEATURES, 3)

    def forward(self, keypoints: Tensor) -> Tensor:
        """3-D joints (N, T, 17, 3) of normalised x, y and confidence (N, T, 17, 3)."""
        x = self.joints_embed(keypoints) + self.pos_embed
        for layer in self.layers:
            x = layer(x)
        return self.head(torch.tanh(self.rep_logit["fc"](self.norm(x))))


class _Layer(nn.Module):
    def __init__(self, width: int, frames: int) -> None:
        super().__init__()
        joints = len(_JOINED_WITH)
        self.att_spatial = _Mixed(width, Attention(width, qkv_bias=False))
        self.att_temporal = _Mixed(width, Attention(width, qkv_bias=False))
        self.graph_spatial = _Mixed(width, _GraphConvolution(width, joints, skeleton=True))
        self.graph_temporal = _Mixed(width, _GraphConvolution(width, frames, skeleton=False))
        self.fusion = nn.Linear(2 * width, 2)
        nn.init.zeros_(self.fusion.weight)
        nn.init.constant_(self.fusion.bias, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        by_attention = self.att_temporal(self.att_spatial(x).transpose(1, 2)).transpose(1, 2)
        by_graph = self.graph_temporal(self.graph_spatial(x).transpose(1, 2)).transpose(1, 2)
        shares = self.fusion(torch.cat((by_attention, by_graph), dim=-1)).softmax(dim=-1)
        return by_attention * shares[..., :1] + by_graph * shares[..., 1:]


class _Mixed(nn.Module):
    """A block that mixes the tokens of the second last axis, then a multilayer perceptron."""

    def __init__(self, width: int, mixer: nn.Module) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixer = mixer
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, _MLP_RATIO * width), "fc2": nn.Linear(_MLP_RATIO * width, width)}
        )
        self.layer_scale_1 = nn.Parameter(torch.full((width,), _FIRST_SCALE))
        self.layer_scale_2 = nn.Parameter(torch.full((width,), _FIRST_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layer_scale_1 * self.mixer(self.norm1(x))
        hidden = functional.gelu(self.mlp["fc1"](self.norm2(x)))
        return x + self.layer_scale_2 * self.mlp["fc2"](hidden)


class _GraphConvolution(nn.Module):
    """Graph convolution among the tokens of the second last axis of (..., nodes, C)."""

    def __init__(self, width: int, nodes: int, *, skeleton: bool) -> None:
        super().__init__()
        self.U, self.V = nn.Linear(width, width), nn.Linear(width, width)
        self.batch_norm = nn.BatchNorm1d(nodes)
        self.register_buffer("adjacency", _of_the_skeleton() if skeleton else None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        *outer, nodes, C = x.shape
        x = x.reshape(-1, nodes, C)
        adjacency = _of_similar(x) if self.adjacency is None else cast(Tensor, self.adjacency)
        per_node = adjacency.sum(dim=-1).to(x.dtype).rsqrt()
        normalised = per_node[..., :, None] * adjacency.to(x.dtype) * per_node[..., None, :]
        added = self.batch_norm(normalised @ self.V(x) + self.U(x))
        return functional.relu(x + added).reshape(*outer, nodes, C)


def _of_the_skeleton() -> Tensor:
    adjacency = torch.zeros(len(_JOINED_WITH), len(_JOINED_WITH))
    for joint, others in enumerate(_JOINED_WITH):
        adjacency[joint, list(others)] = 1
    return adjacency


def _of_similar(x: Tensor) -> Tensor:
    """(N, T, T) bool: the frames whose product with a frame is among the largest of its row."""
    similarity = x @ x.transpose(1, 2)
    return similarity >= similarity.topk(_NEIGHBOURS, dim=-1).values[..., -1:]
