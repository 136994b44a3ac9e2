/**
 * Types of what the server answers and of what the modules hand each other. A frame is its position in the pose log
 * (0..F-1) everywhere but in texts for people, which show its number in the video.
 *
 * @typedef {object} Skeleton
 * @property {string} name
 * @property {string[]} joints
 * @property {[number, number][]} limbs  positions of joints
 *
 * @typedef {object} Run
 * @property {string} name
 * @property {boolean} has_clip
 * @property {string} [problem]  why there is no clip
 * @property {number} width  pixels of the clip
 * @property {number} height
 * @property {number} fps
 * @property {number} num_frames
 * @property {Skeleton} skeleton
 * @property {number} revision  number of corrections in the log, undone ones included
 * @property {boolean} stale  the files of the run were made before the latest corrections
 * @property {boolean} read_only
 * @property {{fps: number, piece_frames: number, width: number, height: number}} preview
 * @property {number} joint_score_threshold  0..1; joints below it are not drawn
 *
 * @typedef {object} Track
 * @property {number} id
 * @property {string} name  empty: without a name
 * @property {number} first
 * @property {number} last
 * @property {number} poses
 * @property {number} mean_score
 * @property {[number, number][]} spans  first and last position of each stretch without a gap
 * @property {[number, number][]} interpolated
 *
 * @typedef {object} Overview
 * @property {number} revision
 * @property {number[]} times_s
 * @property {number[]} frame_numbers
 * @property {Track[]} tracks
 * @property {[number, number][]} checked
 * @property {{number: number, position: number, track: number | null}[]} edits
 *
 * @typedef {object} Suspect
 * @property {string} id
 * @property {string} kind
 * @property {number} position
 * @property {number} last
 * @property {number} doubt  0..1
 * @property {Record<string, number>} parts
 * @property {string} reason
 * @property {"open" | "fine" | "fixed"} state
 * @property {number[]} people  track ids
 * @property {number[]} candidates  track ids, best first
 *
 * @typedef {object} Entry
 * @property {number} number
 * @property {string} op
 * @property {string} text
 * @property {boolean} undone
 * @property {string} by
 * @property {string} at
 * @property {number | null} position
 * @property {number} [of]  of an undo: the number of what it undoes
 *
 * @typedef {object} Effect
 * @property {string} text
 * @property {number} first
 * @property {number} last
 * @property {number} poses
 * @property {number[]} tracks
 *
 * @typedef {[number, number]} PoseRef  position of the frame, index of the person in it at this revision
 * @typedef {Record<string, any> & {op: string}} Request  a correction as the server takes it
 *
 * @typedef {object} FramePoses  people of one frame
 * @property {number} position
 * @property {number} count  M
 * @property {number} joints  K
 * @property {Int32Array} ids  (M,)
 * @property {Uint32Array} flags  (M,) 1 interpolated, 2 propagated, 4 corrected
 * @property {Float32Array} boxes  (M, 4) x1 y1 x2 y2
 * @property {Float32Array} keypoints  (M, K, 2) NaN where missing
 * @property {Uint8Array} scores  (M, K) 0..255
 */
export const INTERPOLATED = 1;
export const PROPAGATED = 2;
export const CORRECTED = 4;
