"""ThunderNet, a small two-stage detector: SNet backbone, context enhancement, proposals, spatial attention, R-CNN head.

Paper: Qin et al. 2019, "ThunderNet: Towards Real-time Generic Object Detection"; COCO test-dev AP there: 19.1 (SNet49),
23.7 (SNet146), 28.1 (SNet535). Its authors published neither code nor weights. Layers are named as in the port
DayBreak-u/Thundernet_Pytorch, which has no licence file and publishes weights of SNet146 for the 20 classes of VOC.

Input: (N, 3, 320, 320), RGB, mean 123.7, 116.3, 103.5 subtracted (of 0..255), not divided; the image is stretched to
the square. Sides are multiples of 32. `thundernet_rpn` is the first stage of another port.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import nms

from detectors.networks.thundernet_head import BINS, Pooling, class_boxes, pool_regions, propose

WIDTHS = {
    "snet49": (24, 60, 120, 240, 512),
    "snet146": (24, 132, 264, 528),
    "snet535": (48, 248, 496, 992),
}
"""Channels of the first convolution, of the three stages, and of a last 1x1 convolution where there is one."""
DEPTHS = (4, 8, 4)
"""Blocks of the stages; the first one of each has stride 2."""
ANCHORS = 25
_POOLED = 5  # channels of a pooled region
_CONTEXT = _POOLED * BINS**2
_RPN = 256
_HIDDEN = 1024


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class Block(nn.Module):
    """ShuffleNetV2 block with 5x5 depthwise convolutions; with stride 2 it has a branch for the shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        kept = inputs if stride == 2 else inputs // 2
        middle = outputs // 2
        self.branch_main = nn.Sequential(
            *_conv_norm(inputs if stride == 2 else inputs - kept, middle, 1),
            nn.ReLU(),
            *_conv_norm(middle, middle, 5, stride, middle),
            *_conv_norm(middle, outputs - kept, 1),
            nn.ReLU(),
        )
        self.branch_proj = (
            nn.Sequential(*_conv_norm(inputs, inputs, 5, 2, inputs), *_conv_norm(inputs, inputs, 1), nn.ReLU())
            if stride == 2
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        if self.branch_proj is not None:
            return torch.cat([self.branch_proj(x), self.branch_main(x)], dim=1)
        N, C, H, W = x.shape
        kept, changed = x.view(N, 2, C // 2, H, W).transpose(1, 2).reshape(N, C, H, W).chunk(2, dim=1)
        return torch.cat([kept, self.branch_main(changed)], dim=1)


class ContextEnhancement(nn.Module):
    """Adds the maps at strides 16 and 32 and the global average of the last, each through a 1x1 convolution."""

    def __init__(self, stride_16: int, stride_32: int) -> None:
        super().__init__()
        self.conv4 = nn.Conv2d(stride_16, _CONTEXT, 1)
        self.conv5 = nn.Conv2d(stride_32, _CONTEXT, 1)
        self.convlast = nn.Conv2d(stride_32, _CONTEXT, 1)

    def forward(self, stride_16: Tensor, stride_32: Tensor) -> Tensor:
        """Maps (N, C4, H, W) and (N, C5, H / 2, W / 2) -> (N, 245, H, W)."""
        wide = F.interpolate(self.conv5(stride_32), size=stride_16.shape[2:], mode="nearest")
        return self.conv4(stride_16) + wide + self.convlast(stride_32.mean(dim=(2, 3), keepdim=True))


class SNet(nn.Module):
    """Backbone and context enhancement."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        first, *stages = widths[: 1 + len(DEPTHS)]
        self.conv1 = nn.Sequential(*_conv_norm(3, first, 3, 2), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stage1, self.stage2, self.stage3 = (
            nn.Sequential(Block(inputs, outputs, 2), *(Block(outputs, outputs, 1) for _ in range(depth - 1)))
            for inputs, outputs, depth in zip([first, *stages], stages, DEPTHS, strict=False)
        )
        last = widths[-1]
        self.conv5 = nn.Sequential(*_conv_norm(stages[-1], last, 1), nn.ReLU()) if len(widths) > 4 else None
        self.cem = ContextEnhancement(stages[1], last)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 245, H / 16, W / 16)."""
        stride_16 = self.stage2(self.stage1(self.pool(self.conv1(images))))
        stride_32 = self.stage3(stride_16)
        return self.cem(stride_16, stride_32 if self.conv5 is None else self.conv5(stride_32))


class ProposalFeatures(nn.Module):
    """Depthwise 5x5 and 1x1 convolution in front of the first stage's predictions."""

    def __init__(self) -> None:
        super().__init__()
        self.dw5_5 = nn.Conv2d(_CONTEXT, _CONTEXT, 5, padding=2, groups=_CONTEXT)
        self.bn0 = nn.BatchNorm2d(_CONTEXT)
        self.con1x1 = nn.Conv2d(_CONTEXT, _RPN, 1)
        self.bn1 = nn.BatchNorm2d(_RPN)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 245, H, W) -> (N, 256, H, W)."""
        return F.relu(self.bn1(self.con1x1(F.relu(self.bn0(self.dw5_5(x))))))


class ProposalOutputs(nn.Module):
    """Logits and box deltas of the anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.RPN_cls_score = nn.Conv2d(_RPN, 2 * ANCHORS, 1)
        self.RPN_bbox_pred = nn.Conv2d(_RPN, 4 * ANCHORS, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 256, H, W) -> logits (N, 50, H, W), deltas (N, 100, H, W)."""
        return self.RPN_cls_score(x), self.RPN_bbox_pred(x)


class SpatialAttention(nn.Module):
    """Weights the context map by the features of the first stage, which know where objects are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(_RPN, _CONTEXT, 1)
        self.bn = nn.BatchNorm2d(_CONTEXT)

    def forward(self, proposal_features: Tensor, context: Tensor) -> Tensor:
        """(N, 256, H, W) and (N, 245, H, W) -> (N, 245, H, W)."""
        return self.bn(self.conv1(proposal_features)).sigmoid() * context


class ThunderNet(nn.Module):
    """ThunderNet.

    Args:
        backbone: a name in WIDTHS.
        classes: number of classes with the background, which is class 0; 21 for VOC.
        pooling: see `pool_regions`.
    """

    def __init__(self, backbone: str, *, classes: int = 21, pooling: Pooling = "max") -> None:
        super().__init__()
        self.pooling: Pooling = pooling
        self.rpn = ProposalFeatures()
        self.sam = SpatialAttention()
        self.RCNN_rpn = ProposalOutputs()
        self.RCNN_base = SNet(WIDTHS[backbone])
        self.RCNN_top = nn.Sequential(nn.Linear(_CONTEXT, _HIDDEN), nn.ReLU())
        self.RCNN_cls_score = nn.Linear(_HIDDEN, classes)
        self.RCNN_bbox_pred = nn.Linear(_HIDDEN, 4 * classes)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) -> maps at stride 16; in training mode also the second stage on the proposals.

        `rpn_cls` (N, 50, h, w) and `rpn_reg` (N, 100, h, w) are described at `propose`; `sam_feat` (N, 245, h, w) is
        what regions are pooled from, `cem` (N, 245, h, w) the same before the attention. In training mode
        `proposals` (N, 200, 4), `cls_score` (N, 200, classes) and `bbox_pred` (N, 200, 4 * classes) follow.
        """
        context = self.RCNN_base(images)
        features = self.rpn(context)
        rpn_cls, rpn_reg = self.RCNN_rpn(features)
        maps = {"rpn_cls": rpn_cls, "rpn_reg": rpn_reg, "sam_feat": self.sam(features, context), "cem": context}
        if not self.training:
            return maps
        regions = propose(rpn_cls.detach(), rpn_reg.detach(), (images.shape[2], images.shape[3]))
        cls_score, bbox_pred = self.classify(maps["sam_feat"], regions)
        return maps | {"proposals": regions, "cls_score": cls_score, "bbox_pred": bbox_pred}

    def classify(self, features: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """The second stage: `sam_feat` and regions (N, R, 4) -> logits (N, R, classes), deltas (N, R, 4 * classes)."""
        hidden = self.RCNN_top(pool_regions(features, regions, self.pooling).flatten(2))
        return self.RCNN_cls_score(hidden), self.RCNN_bbox_pred(hidden)


class ClassBoxes(nn.Module):
    """A ThunderNet as a detector of one class.

    Args:
        network: the whole network.
        class_id: of the objects to find.
        min_score: boxes with a lower score are left out (0..1).
        nms_iou: of two boxes with a higher IoU, the one with the lower score is removed (0..1).
        count: number of proposals.
    """

    def __init__(
        self, network: ThunderNet, class_id: int, *, min_score: float = 0.05, nms_iou: float = 0.5, count: int = 200
    ) -> None:
        super().__init__()
        self.network = network
        self.class_id = class_id
        self.min_score = min_score
        self.nms_iou = nms_iou
        self.count = count

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> boxes (N, count, 4) x1 y1 x2 y2 in input pixels, scores (N, count); padded with zeros."""
        size = (images.shape[2], images.shape[3])
        maps = self.network(images)
        regions = propose(maps["rpn_cls"].float(), maps["rpn_reg"].float(), size, self.count)
        logits, deltas = self.network.classify(maps["sam_feat"], regions.to(maps["sam_feat"]))
        boxes = class_boxes(deltas.float(), regions, self.class_id, size)
        scores = logits.float().softmax(dim=-1)[..., self.class_id]
        scores = scores * (regions[..., 2:] > regions[..., :2]).all(dim=-1)  # rows of zeros are no proposals
        return self._best(boxes, scores)

    def _best(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        found_boxes, found_scores = torch.zeros_like(boxes), torch.zeros_like(scores)
        for i, (row, score) in enumerate(zip(boxes, scores, strict=True)):
            good = score >= self.min_score
            row, score = row[good], score[good]
            kept = nms(row, score, self.nms_iou)
            found_boxes[i, : len(kept)], found_scores[i, : len(kept)] = row[kept], score[kept]
        return found_boxes, found_scores
