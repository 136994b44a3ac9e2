"""Reads and writes PoseTrack files and scores them: AP, MOTA, IDF1, HOTA, OKS AP, PCK. Independent of any network.

Two folders of PoseTrack files, paired by the names of their sequences:

>>> from eval_posetrack.evaluation import evaluate
>>> report = evaluate("ground_truth/", "predictions/", metrics=["AP", "MOT"])  # doctest: +SKIP
>>> report.total["MOTA"].total  # doctest: +SKIP

One clip at a time, as arrays:

>>> from eval_posetrack.formats.files import read_clip
>>> clip = read_clip("ground_truth/000001_mpii.json")  # doctest: +SKIP
>>> clip.keypoints.shape  # doctest: +SKIP

`evaluate` takes such clips by name, too. The command line is `posetrail eval` and `posetrail convert`.
"""
