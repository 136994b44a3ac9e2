"""PoseTrack files of 2017, 2018 and 2021, as arrays."""
