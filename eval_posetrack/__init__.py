"""PoseTrack files, and what they score. Knows no network and nothing of the tracker."""
