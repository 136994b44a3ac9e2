/**
 * Preview pieces in two video elements: one shows the current piece, the other gets the next one ready.
 *
 * Picture k of a piece stands at k / 30 s. Seeking aims at the middle of its interval: browsers round a frame's own time
 * to the frame before it.
 */

import { previewAddress } from "./api.js";

/** @import { Run } from "./types.js" */

/** @typedef {{video: HTMLVideoElement, piece: number, ready: Promise<boolean>, isReady: boolean}} Slot */

const SEEK_TIMEOUT_MS = 1500;
const RETRY_MS = 5000;
const RATES = [0.0625, 16]; // what browsers play

export class Preview {
  /** @param {HTMLElement} container @param {Run} run */
  constructor(container, run) {
    this.run = run;
    this.fps = run.preview.fps;
    this.pieceFrames = run.preview.piece_frames;
    /** @type {Map<number, number>} when a piece could not be had */
    this.failed = new Map();
    /** @type {Slot[]} */
    this.slots = [0, 1].map(() => {
      const video = document.createElement("video");
      video.muted = true;
      video.playsInline = true;
      video.preload = "auto";
      video.tabIndex = -1;
      container.append(video);
      return { video, piece: -1, ready: Promise.resolve(false), isReady: false };
    });
    this.active = this.slots[0];
    /** @type {boolean | null} whether the browser tells which picture it draws; null: not known yet */
    this.tells = null;
  }

  /** @param {number} position */
  pieceOf(position) {
    return Math.floor(position / this.pieceFrames);
  }

  /** @param {Slot} slot */
  lastOf(slot) {
    return Math.min((slot.piece + 1) * this.pieceFrames, this.run.num_frames) - 1;
  }

  /** The element that holds the piece of a frame, ready to be shown, or null. @param {number} position */
  readySlot(position) {
    const piece = this.pieceOf(position);
    return this.slots.find((slot) => slot.piece === piece && slot.isReady) ?? null;
  }

  /** The element that holds or loads the piece of a frame. @param {number} position */
  slotFor(position) {
    const piece = this.pieceOf(position);
    const known = this.slots.find((slot) => slot.piece === piece);
    if (known) return known;
    const slot = this.slots.find((each) => each !== this.active) ?? this.slots[0];
    return this.#load(slot, piece);
  }

  /** Whether the piece of a frame could not be had a moment ago. @param {number} position */
  isMissing(position) {
    return performance.now() - (this.failed.get(this.pieceOf(position)) ?? -Infinity) < RETRY_MS;
  }

  /** @param {Slot} slot @param {number} piece */
  #load(slot, piece) {
    slot.video.pause();
    slot.piece = piece;
    slot.isReady = false;
    slot.video.src = previewAddress(piece);
    slot.ready = new Promise((resolve) => {
      /** @param {boolean} loaded */
      const end = (loaded) => {
        slot.video.removeEventListener("loadeddata", onData);
        slot.video.removeEventListener("error", onError);
        slot.video.removeEventListener("emptied", onEmptied);
        if (slot.piece === piece) slot.isReady = loaded;
        if (!loaded && slot.piece === piece) {
          this.failed.set(piece, performance.now());
          slot.piece = -1;
        }
        resolve(loaded);
      };
      const onData = () => end(true);
      const onError = () => end(false);
      const onEmptied = () => slot.piece !== piece && end(false);
      slot.video.addEventListener("loadeddata", onData);
      slot.video.addEventListener("error", onError);
      slot.video.addEventListener("emptied", onEmptied);
    });
    return slot;
  }

  /** Seek until the video shows a frame. @param {Slot} slot @param {number} position @returns {Promise<boolean>} */
  async seek(slot, position) {
    const k = position - slot.piece * this.pieceFrames;
    const video = slot.video;
    const shown = new Promise((resolve) => {
      const timeout = setTimeout(() => resolve(false), SEEK_TIMEOUT_MS);
      let isOver = false;
      const end = () => {
        isOver = true;
        clearTimeout(timeout);
        resolve(true);
      };
      // A callback is not promised for every seek; `seeked` comes always, at times before the picture.
      const onFrame = (/** @type {number} */ _, /** @type {{mediaTime: number}} */ data) => {
        if (isOver) return;
        if (this.#pictureAt(data.mediaTime) === k) end();
        else video.requestVideoFrameCallback(onFrame);
      };
      video.requestVideoFrameCallback?.(onFrame);
      video.addEventListener("seeked", () => void this.#settle(video, k).then(() => isOver || end()), { once: true });
    });
    video.currentTime = (k + 0.5) / this.fps;
    return /** @type {Promise<boolean>} */ (shown);
  }

  /** After `seeked`: until the element's picture is the one asked for, a moment at most. @param {HTMLVideoElement} video @param {number} k */
  async #settle(video, k) {
    for (let wait = 0; wait < 10; wait++) {
      const now = this.#number(video);
      if (now === k) return;
      await new Promise((resolve) => setTimeout(resolve, now === null ? 80 : 16));
      if (now === null) return;
    }
  }

  /** The number in its piece of the picture that would be drawn now, or null where the browser cannot tell. @param {HTMLVideoElement} video */
  #number(video) {
    if (!("VideoFrame" in window) || video.readyState < 2) return null;
    try {
      const frame = new VideoFrame(video);
      const k = Math.round((frame.timestamp * this.fps) / 1e6);
      frame.close();
      if (k > 0) this.tells = true;
      return this.tells === false ? null : k; // Firefox 153 says 0 for every picture
    } catch {
      return null;
    }
  }

  /**
   * Whether the browser tells which picture of a video it draws. While a video plays, the time of its callbacks is at
   * times that of the picture before or after; without an answer, only a paused video is known to show a frame.
   * @param {Slot} slot  ready
   */
  async canTell(slot) {
    const second = slot.piece * this.pieceFrames + 1;
    if (this.tells === null && second <= this.lastOf(slot)) {
      await this.seek(slot, second);
      this.#number(slot.video);
      this.tells ??= false;
    }
    return this.tells === true;
  }

  /** The number in its piece of the picture of a callback; after a seek, Firefox gives the time sought. @param {number} mediaTime */
  #pictureAt(mediaTime) {
    return Math.floor(mediaTime * this.fps + 0.25);
  }

  /**
   * The frame that a callback of the active element tells of; where the browser can tell, the one that would be drawn.
   * @param {number} mediaTime
   */
  positionAt(mediaTime) {
    const k = this.#number(this.active.video) ?? this.#pictureAt(mediaTime);
    const position = this.active.piece * this.pieceFrames + k;
    return Math.min(Math.max(position, this.active.piece * this.pieceFrames), this.lastOf(this.active));
  }

  /** @param {number} speed  1: as fast as the clip */
  setRate(speed) {
    const rate = Math.min(Math.max((speed * this.run.fps) / this.fps, RATES[0]), RATES[1]);
    for (const slot of this.slots) slot.video.playbackRate = rate;
  }
}
