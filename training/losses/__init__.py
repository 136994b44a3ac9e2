"""Losses: outputs of a network, targets and weights of `training.targets` to one number that is minimised.

All losses are means over the images of the batch, whose size does not change the gradient's scale. The weight of a
joint multiplies its loss once, and its terms stay in the count of a mean: an image without a labelled joint adds 0.
Losses are computed in float32, or in float64 for such outputs. Where published code differs in a constant factor, the
docstring names it: Adam's steps do not depend on it.
"""
