"""Programs that measure the speed and accuracy of posetrail, for every figure in the documentation."""
