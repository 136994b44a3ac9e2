/** Poses of the clip at one revision, fetched in windows of frames as they are needed. */

import { getPoses } from "./api.js";

/** @import { FramePoses } from "./types.js" */

const WINDOW_FRAMES = 240;
const MAX_WINDOWS = 24; // a window of five people weighs about 250 kB

export class PoseWindows {
  /** @param {number} numFrames @param {() => void} onLoad  called when a window has come */
  constructor(numFrames, onLoad) {
    this.numFrames = numFrames;
    this.onLoad = onLoad;
    /** @type {Map<number, FramePoses[] | Promise<FramePoses[]>>} in order of use */
    this.windows = new Map();
  }

  /** The people of a frame if they are here; otherwise null, and they are fetched. @param {number} position */
  at(position) {
    if (position < 0 || position >= this.numFrames) return null;
    const number = Math.floor(position / WINDOW_FRAMES);
    const window = this.windows.get(number);
    if (Array.isArray(window)) return window[position - number * WINDOW_FRAMES] ?? null;
    if (!window) void this.#fetch(number).catch(() => {});
    return null;
  }

  /** The same without fetching. @param {number} position */
  peek(position) {
    const number = Math.floor(position / WINDOW_FRAMES);
    const window = this.windows.get(number);
    return Array.isArray(window) ? (window[position - number * WINDOW_FRAMES] ?? null) : null;
  }

  /** @param {number} position @returns {Promise<FramePoses>} */
  async load(position) {
    const number = Math.floor(position / WINDOW_FRAMES);
    const window = await (this.windows.get(number) ?? this.#fetch(number));
    return window[position - number * WINDOW_FRAMES];
  }

  /** Fetch what is near a frame before it is needed. @param {number} position */
  prefetch(position) {
    this.at(position - WINDOW_FRAMES / 4);
    this.at(position + WINDOW_FRAMES / 2);
  }

  /** @param {number} number */
  async #fetch(number) {
    const first = number * WINDOW_FRAMES;
    const request = getPoses(first, Math.min(WINDOW_FRAMES, this.numFrames - first));
    this.windows.set(number, request);
    try {
      const window = await request;
      this.windows.delete(number); // to the end of the order
      this.windows.set(number, window);
      while (this.windows.size > MAX_WINDOWS) {
        const oldest = this.windows.keys().next().value;
        if (oldest === undefined) break;
        this.windows.delete(oldest);
      }
      this.onLoad();
      return window;
    } catch (error) {
      this.windows.delete(number);
      throw error;
    }
  }
}

/** Index of an identity among the people of a frame, or -1. @param {FramePoses | null} frame @param {number} id */
export const indexOfId = (frame, id) => (frame ? frame.ids.indexOf(id) : -1);

/** @param {FramePoses} frame @param {number} index */
export const boxOf = (frame, index) => Array.from(frame.boxes.subarray(4 * index, 4 * index + 4));

/** Coordinates of a joint. @param {FramePoses} frame @param {number} index @param {number} joint */
export function jointOf(frame, index, joint) {
  const at = 2 * (index * frame.joints + joint);
  return [frame.keypoints[at], frame.keypoints[at + 1]];
}

/** The person of a frame whose box is nearest to a remembered one, or -1. @param {FramePoses} frame @param {number[]} box */
export function nearestBox(frame, box) {
  let best = -1;
  let least = 1; // further than a tenth of its size from there it is another one
  const size = Math.max(box[2] - box[0], box[3] - box[1], 1);
  for (let index = 0; index < frame.count; index++) {
    const other = boxOf(frame, index);
    const distance = other.reduce((sum, value, k) => sum + Math.abs(value - box[k]), 0) / (0.4 * size);
    if (distance < least) [best, least] = [index, distance];
  }
  return best;
}
