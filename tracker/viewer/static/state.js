/** What the page knows of the run, and how it is fetched anew when the corrections change. */

import * as api from "./api.js";
import { PoseWindows, boxOf, indexOfId, nearestBox } from "./poses.js";

/** @import { Entry, FramePoses, Overview, PoseRef, Run, Suspect, Track } from "./types.js" */

/** @typedef {{position: number, index: number, id: number, box: number[]}} Selected  a pose, and where it was seen */

/** @typedef {"frame" | "poses" | "revision" | "selection" | "suspect" | "playing" | "view" | "pending"} Topic */

class State extends EventTarget {
  /** @type {Run} */
  run = /** @type {any} */ (null);
  /** @type {Overview} */
  overview = /** @type {any} */ (null);
  /** @type {Suspect[]} */
  suspects = [];
  /** @type {Entry[]} */
  entries = [];
  /** @type {PoseWindows} */
  poses = /** @type {any} */ (null);
  /** @type {Map<number, Track>} */
  tracks = new Map();
  revision = -1;
  shown = 0; // the frame in the picture; the skeletons and the number are those of this frame, too
  /** @type {Selected | null} */
  selected = null;
  /** @type {Suspect | null} */
  suspect = null;
  playing = false;
  show = { skeletons: true, trails: true, names: true, dim: false };

  /** @param {Topic} topic @param {() => void} listener */
  on(topic, listener) {
    this.addEventListener(topic, listener);
  }

  /** @param {Topic} topic */
  emit(topic) {
    this.dispatchEvent(new Event(topic));
  }

  /** @param {number} position */
  clamp(position) {
    return Math.min(Math.max(Math.round(position), 0), this.run.num_frames - 1);
  }

  /** Number in the video of a frame. @param {number} position */
  number(position) {
    return this.overview.frame_numbers[position] ?? position;
  }

  /** Position of the frame whose number is nearest. @param {number} number */
  positionOf(number) {
    const numbers = this.overview.frame_numbers;
    let [low, high] = [0, numbers.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (numbers[middle] < number) low = middle + 1;
      else high = middle;
    }
    return low > 0 && number - numbers[low - 1] < numbers[low] - number ? low - 1 : low;
  }

  /** What a person is called. @param {number} id */
  nameOf(id) {
    const name = this.tracks.get(id)?.name;
    return name ? `${name} (${id})` : `person ${id}`;
  }

  /** The people of the frame in the picture. */
  frame() {
    return this.poses.at(this.shown);
  }

  /** @param {number} position @param {number} index */
  async select(position, index) {
    const frame = this.poses.peek(position) ?? (await this.poses.load(position)); // at once if it is here: the next key needs it
    if (index < 0 || index >= frame.count) return;
    this.selected = { position, index, id: frame.ids[index], box: boxOf(frame, index) };
    this.emit("selection");
  }

  deselect() {
    if (!this.selected) return;
    this.selected = null;
    this.emit("selection");
  }

  /** The selected person in the frame of the picture, or null where that person is not in it. @returns {PoseRef | null} */
  selectedHere() {
    const index = this.selected ? indexOfId(this.frame(), this.selected.id) : -1;
    return index < 0 ? null : [this.shown, index];
  }

  /** The selection follows the identity from frame to frame. */
  follow() {
    const frame = this.frame();
    const here = this.selectedHere();
    if (here && frame && this.selected) {
      this.selected = { ...this.selected, position: here[0], index: here[1], box: boxOf(frame, here[1]) };
    }
  }

  /** @param {number} revision  fetch all that depends on the corrections; shown at once when all of it is here */
  async refresh(revision = -1) {
    for (let attempt = 0; ; attempt++) {
      const [overview, suspects, log] = await Promise.all([api.getOverview(), api.getSuspects(), api.getLog()]);
      const agree = overview.revision === suspects.revision && suspects.revision === log.revision;
      if ((!agree || overview.revision < revision) && attempt < 5) continue;
      const poses = new PoseWindows(this.run.num_frames, () => this.emit("poses"));
      await poses.load(this.shown);
      if (this.selected) await poses.load(this.selected.position);
      this.overview = overview;
      this.tracks = new Map(overview.tracks.map((track) => [track.id, track]));
      this.suspects = suspects.suspects;
      this.entries = log.entries;
      this.poses = poses;
      this.revision = overview.revision;
      this.selected = this.selected && this.#again(this.selected);
      if (this.suspect) {
        const id = this.suspect.id;
        this.suspect = this.suspects.find((suspect) => suspect.id === id) ?? null;
      }
      this.emit("revision");
      return;
    }
  }

  /** The same pose under the new revision: ids and the order of people may have changed. @param {Selected} selected */
  #again(selected) {
    const frame = this.poses.peek(selected.position);
    const index = frame ? nearestBox(frame, selected.box) : -1;
    return frame && index >= 0 ? { ...selected, index, id: frame.ids[index], box: boxOf(frame, index) } : null;
  }

  /** The pose of an identity at or nearest to a frame. @param {number} id @param {number} position @returns {Promise<PoseRef | null>} */
  async poseOf(id, position) {
    const track = this.tracks.get(id);
    if (!track) return null;
    const nearest = nearestOf(track.spans, position);
    const frame = this.poses.peek(nearest) ?? (await this.poses.load(nearest));
    const index = indexOfId(frame, id);
    return index < 0 ? null : [nearest, index];
  }
}

/** The position inside spans nearest to one. @param {[number, number][]} spans @param {number} position */
export function nearestOf(spans, position) {
  let [best, least] = [position, Infinity];
  for (const [first, last] of spans) {
    const inside = Math.min(Math.max(position, first), last);
    if (Math.abs(inside - position) < least) [best, least] = [inside, Math.abs(inside - position)];
  }
  return best;
}

export const state = new State();
