"""Training targets: joints of a batch, in pixels of their crops, to what a network is trained to answer.

Every function takes keypoints (B, K, 2) and visibility (B, K), and returns the target and weights (B, K), on the device
of the keypoints and in float32. (0, 0) is the centre of the first pixel of a crop. Visibility is that of `Samples`: 0
not labelled, 1 occluded, 2 visible; any number above 0 means labelled. Keypoints that are not labelled may be NaN.
`kinds.TARGETS` pairs each target with the decoder that reads it.
"""
