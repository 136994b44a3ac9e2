"""MotionBERT: a transformer over joints and frames from 2-D joints to 3-D joints (Zhu et al., ICCV 2023).

Five levels; in each, a block that attends to the joints of a frame first and to the frames of a joint second, and one
in the opposite order, see the same tokens. Their answers are averaged with weights that depend on the token.
`MotionBERT` has the keys of the authors' checkpoints, `MotionBERTMMPose` those of MMPose's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

_HEADS = 8
_LEVELS = 5
_FEATURES = 512  # of a joint, before the last layer
MAX_FRAMES = 243

_norm = partial(nn.LayerNorm, eps=1e-6)


class MotionBERT(nn.Module):
    """The network with the authors' keys.

    Args:
        width: features of a token.
        mlp_ratio: width of the hidden layers per width of a token.
        joints: number of joints, in and out.
        max_frames: largest number of frames.
    """

    def __init__(self, width: int, mlp_ratio: int, *, joints: int = 17, max_frames: int = MAX_FRAMES) -> None:
        super().__init__()
        mlp = partial(_MLP, width, mlp_ratio * width)
        self.joints_embed = nn.Linear(3, width)
        self.pos_embed = nn.Parameter(_small(1, joints, width))
        self.temp_embed = nn.Parameter(_small(1, max_frames, 1, width))
        self.blocks_st = nn.ModuleList(_Block(width, mlp, joints_first=True) for _ in range(_LEVELS))
        self.blocks_ts = nn.ModuleList(_Block(width, mlp, joints_first=False) for _ in range(_LEVELS))
        self.ts_attn = nn.ModuleList(_even_weights(width) for _ in range(_LEVELS))
        self.norm = _norm(width)
        self.pre_logits = nn.ModuleDict({"fc": nn.Linear(width, _FEATURES)})
        self.head = nn.Linear(_FEATURES, 3)
        _initialise(self)

    def forward(self, keypoints: Tensor) -> Tensor:
        """3-D joints (N, T, K, 3) of normalised x, y and confidence (N, T, K, 3)."""
        x = _embedded(keypoints, self.joints_embed, self.pos_embed, self.temp_embed)
        x = self.norm(_through(x, self.blocks_st, self.blocks_ts, self.ts_attn))
        return self.head(torch.tanh(self.pre_logits["fc"](x)))


class MotionBERTMMPose(nn.Module):
    """The network with MMPose's keys; arguments as of `MotionBERT`."""

    def __init__(self, width: int, mlp_ratio: int, *, joints: int = 17, max_frames: int = MAX_FRAMES) -> None:
        super().__init__()
        self.backbone = _Backbone(width, mlp_ratio, joints, max_frames)
        self.head = nn.ModuleDict(
            {"pre_logits": nn.ModuleDict({"fc": nn.Linear(width, _FEATURES)}), "fc": nn.Linear(_FEATURES, 3)}
        )
        _initialise(self)

    def forward(self, keypoints: Tensor) -> Tensor:
        """3-D joints (N, T, K, 3) of normalised x, y and confidence (N, T, K, 3)."""
        features = self.head["pre_logits"]["fc"](self.backbone(keypoints))  # type: ignore[index]
        return self.head["fc"](torch.tanh(features))


class _Backbone(nn.Module):
    def __init__(self, width: int, mlp_ratio: int, joints: int, max_frames: int) -> None:
        super().__init__()

        def mlp() -> nn.Module:
            hidden = mlp_ratio * width
            return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

        self.joints_embed = nn.Linear(3, width)
        self.spat_embed = nn.Parameter(_small(1, joints, width))
        self.temp_embed = nn.Parameter(_small(1, max_frames, 1, width))
        self.blocks_st = nn.ModuleList(_Block(width, mlp, joints_first=True) for _ in range(_LEVELS))
        self.blocks_ts = nn.ModuleList(_Block(width, mlp, joints_first=False) for _ in range(_LEVELS))
        self.attn_regress = nn.ModuleList(_even_weights(width) for _ in range(_LEVELS))
        self.norm = _norm(width)

    def forward(self, keypoints: Tensor) -> Tensor:
        x = _embedded(keypoints, self.joints_embed, self.spat_embed, self.temp_embed)
        return self.norm(_through(x, self.blocks_st, self.blocks_ts, self.attn_regress))


def _embedded(keypoints: Tensor, embed: nn.Linear, of_joints: Tensor, of_frames: Tensor) -> Tensor:
    T = keypoints.shape[1]
    if of_frames.shape[1] < T:
        raise ValueError(f"keypoints: expected at most {of_frames.shape[1]} frames, got {T}; cut them into windows")
    return embed(keypoints) + of_joints + of_frames[:, :T]


def _through(x: Tensor, first: Iterable[nn.Module], second: Iterable[nn.Module], fuse: Iterable[nn.Module]) -> Tensor:
    """Tokens (N, T, K, C) after all levels."""
    for joints_first, frames_first, weigh in zip(first, second, fuse, strict=True):
        a, b = joints_first(x), frames_first(x)
        shares = weigh(torch.cat((a, b), dim=-1)).softmax(dim=-1)
        x = a * shares[..., :1] + b * shares[..., 1:]
    return x


class _Block(nn.Module):
    """Attention over joints and over frames, each followed by a multilayer perceptron."""

    def __init__(self, width: int, mlp: Callable[[], nn.Module], *, joints_first: bool) -> None:
        super().__init__()
        self.joints_first = joints_first
        self.norm1_s, self.norm1_t = _norm(width), _norm(width)
        self.attn_s, self.attn_t = Attention(width), Attention(width)
        self.norm2_s, self.norm2_t = _norm(width), _norm(width)
        self.mlp_s, self.mlp_t = mlp(), mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self._frames(self._joints(x)) if self.joints_first else self._joints(self._frames(x))

    def _joints(self, x: Tensor) -> Tensor:
        x = x + self.attn_s(self.norm1_s(x))
        return x + self.mlp_s(self.norm2_s(x))

    def _frames(self, x: Tensor) -> Tensor:
        x = x + self.attn_t(self.norm1_t(x).transpose(1, 2)).transpose(1, 2)
        return x + self.mlp_t(self.norm2_t(x))


class Attention(nn.Module):
    """Attention of eight heads among the tokens of the second last axis of (..., L, C)."""

    def __init__(self, width: int, *, qkv_bias: bool = True) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (..., L, C) of tokens (..., L, C)."""
        *outer, L, C = x.shape
        q, k, v = self.qkv(x).reshape(-1, L, 3, _HEADS, C // _HEADS).permute(2, 0, 3, 1, 4)
        x = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(*outer, L, C))


class _MLP(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


def _small(*shape: int) -> Tensor:
    return nn.init.trunc_normal_(torch.empty(shape), std=0.02)


def _even_weights(width: int) -> nn.Linear:
    """A layer for the weights of two blocks."""
    return nn.Linear(2 * width, 2)


def _initialise(network: nn.Module) -> None:
    """Small random weights, zero biases, and equal weights of the two blocks of a level."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            even = layer.out_features == 2
            nn.init.zeros_(layer.weight) if even else nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
