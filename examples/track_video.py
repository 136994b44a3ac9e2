"""Track the people of a video and print where each one's nose is.

python examples/track_video.py examples/pose2sim_cam01.mp4 --end 0.5
"""

import argparse

import posetrail as pt


def main() -> None:
    """Track the clip frame by frame; the ids of a frame are final when it comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", help="video file, folder of images or glob")
    parser.add_argument("--end", type=float, help="skip frames from this time on, in seconds")
    arguments = parser.parse_args()

    settings = pt.Settings(inference=pt.InferenceSettings(detect_every=2))
    nose = pt.SKELETONS["coco_17"].joints.index("nose")
    for frame in pt.track(arguments.clip, settings, end_s=arguments.end):
        poses = frame.people.poses  # keypoints (N, K, 2) in pixels, NaN where a joint is missing
        for track_id, keypoints, scores in zip(
            frame.people.track_ids, poses.keypoints, poses.keypoint_scores, strict=True
        ):
            x, y = keypoints[nose]
            print(f"{frame.time_s:.2f} s  track {track_id}  nose at ({x:.0f}, {y:.0f}), score {scores[nose]:.2f}")


if __name__ == "__main__":
    main()
