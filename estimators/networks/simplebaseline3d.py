"""SimpleBaseline3D with its z-scores (Martinez et al., ICCV 2017): for one frame, as MMPose publishes it.

The network takes joints in pixels of Human3.6M's images of 1000 x 1000, as deviations from their mean in standard
deviations, and returns 16 joints relative to the root in the same way. The means and standard deviations are those that
MMPose computed on the training set and published with the weights (Apache-2.0).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

BOX_CENTRE_PX = (528.0, 427.0)  # mean centre of the people in Human3.6M, of MMPose's data set file
BOX_SIDE_PX = 400.0

# Joints of H36M_17: mean x y and standard deviation x y, pixels.
_OF_2D = np.array(
    [
        (532.0835, 419.7414, 107.7364, 63.3591),
        (531.8095, 418.2607, 119.0084, 64.1215),
        (530.6846, 493.5426, 119.1241, 50.5381),
        (529.3697, 575.9645, 120.6169, 56.3844),
        (532.2977, 421.2848, 101.9574, 62.8964),
        (531.9395, 494.7219, 106.2483, 48.4118),
        (529.7198, 578.9611, 108.4673, 54.5818),
        (532.937, 370.6523, 109.0737, 68.7044),
        (534.1102, 317.9034, 111.2013, 74.8729),
        (534.5542, 304.2414, 111.632, 77.8054),
        (534.8696, 282.3103, 113.2233, 79.9067),
        (534.1131, 330.113, 105.7146, 73.2705),
        (533.5364, 376.2743, 107.058, 73.9318),
        (533.4938, 391.7232, 107.9745, 83.3039),
        (533.5258, 330.0949, 121.6068, 74.2569),
        (532.508, 374.1905, 134.3438, 77.4813),
        (532.7279, 380.6162, 131.7999, 89.8672),
    ]
)
# Joints of H36M_17 without the pelvis: mean x y z and standard deviation x y z, metres.
_OF_3D = np.array(
    [
        (-0.000256, -0.00712, -0.000981, 0.110722, 0.022388, 0.072463),
        (-0.005655, 0.319636, 0.071933, 0.158563, 0.189338, 0.208805),
        (-0.010171, 0.691148, 0.155353, 0.191799, 0.243201, 0.247562),
        (0.000256, 0.00712, 0.000981, 0.110722, 0.022388, 0.072463),
        (-0.005097, 0.32704, 0.072226, 0.158805, 0.199772, 0.214706),
        (-0.009997, 0.708277, 0.158016, 0.180019, 0.250527, 0.248532),
        (0.002906, -0.211363, -0.047421, 0.052107, 0.052114, 0.069082),
        (0.005675, -0.435089, -0.097697, 0.095154, 0.10133, 0.128997),
        (0.005939, -0.491892, -0.110667, 0.117425, 0.126485, 0.164651),
        (0.007374, -0.583949, -0.131171, 0.123603, 0.130855, 0.164333),
        (0.005419, -0.383932, -0.086815, 0.146022, 0.09708, 0.139527),
        (0.00296, -0.187567, -0.043454, 0.243475, 0.129822, 0.202302),
        (0.001266, -0.120171, -0.028253, 0.244688, 0.215018, 0.239382),
        (0.004672, -0.383644, -0.085513, 0.138761, 0.100893, 0.142441),
        (0.001676, -0.197007, -0.043137, 0.236875, 0.144912, 0.209808),
        (0.000871, -0.168665, -0.03739, 0.244007, 0.23975, 0.255206),
    ]
)


class ZScored(nn.Module):
    """The network with inputs in pixels of Human3.6M relative to BOX_CENTRE_PX and outputs in metres.

    The zero row of the root is put before the other joints.
    """

    mean_2d: Tensor
    std_2d: Tensor
    mean_3d: Tensor
    std_3d: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        mean_2d = torch.tensor(_OF_2D[:, :2] - BOX_CENTRE_PX, dtype=torch.float32)
        self.register_buffer("mean_2d", mean_2d, persistent=False)
        self.register_buffer("std_2d", torch.tensor(_OF_2D[:, 2:], dtype=torch.float32), persistent=False)
        self.register_buffer("mean_3d", torch.tensor(_OF_3D[:, :3], dtype=torch.float32), persistent=False)
        self.register_buffer("std_3d", torch.tensor(_OF_3D[:, 3:], dtype=torch.float32), persistent=False)

    def forward(self, keypoints: Tensor) -> Tensor:
        """3-D joints (N, T, 17, 3) of 2-D joints (N, T, 17, 2)."""
        joints = self.network((keypoints - self.mean_2d) / self.std_2d) * self.std_3d + self.mean_3d
        return torch.cat((torch.zeros_like(joints[:, :, :1]), joints), dim=2)
