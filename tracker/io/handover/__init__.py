"""2-D tracks as files of other systems: VIBE, multi-view matching, Pose2Sim, SLEAP, DeepLabCut, movement.

File n of a folder and row n of a table are frame n of the video: frames before the run's start and between its strides
are there without people. movement's file has times instead and holds the frames of the run alone.

Interpolated poses are written like measured ones, with their joint scores, which are half of those between which they
lie; missing joints as each format has them.
"""
