/**
 * The clock: which frame is in the picture, and how the next one gets there.
 *
 * While playing and stepping, pictures come from preview pieces; a paused picture is replaced by the exact still. The
 * number, the skeletons and the picture change together, in `show`: there is no other place that changes the frame.
 */

import { Preview } from "./preview.js";
import { Stills } from "./stills.js";

/** @import { Run } from "./types.js" */

const STILL_AFTER_MS = 90; // a pause as short as that is a step of many
const STILL_LONG = 1280;

/** @typedef {CanvasImageSource | null} Source  null: there is no picture */

export class Player {
  /**
   * @param {Run} run
   * @param {HTMLElement} container  of the video elements
   * @param {(position: number, source: Source) => void} show
   * @param {(text: string) => void} notice  what keeps the picture from coming; empty: nothing
   * @param {(isPlaying: boolean) => void} onPlaying
   */
  constructor(run, container, show, notice, onPlaying) {
    this.run = run;
    this.show = show;
    this.notice = notice;
    this.onPlaying = onPlaying;
    this.preview = run.has_clip && run.preview ? new Preview(container, run) : null;
    this.stills = new Stills();
    this.position = 0; // in the picture
    /** @type {number | null} */
    this.wish = null; // the newest frame asked for, while another is on its way
    this.isSeeking = false;
    this.turn = 0; // of playing; what belongs to an older turn stops
    this.isPlaying = false;
    this.speed = 1;
    /** @type {[number, number] | null} */
    this.loop = null;
    this.stillTimer = 0;
  }

  /** The frame asked for last, whether or not it is in the picture yet. */
  get aim() {
    return this.wish ?? this.target ?? this.position;
  }

  /** @type {number | null} on its way to the picture */
  target = null;

  /** Pause and show a frame. @param {number} position */
  seek(position) {
    this.#stop();
    this.loop = null;
    return this.#go(position);
  }

  /** @param {number} position */
  async #go(position) {
    this.wish = position;
    if (this.isSeeking) return;
    this.isSeeking = true;
    try {
      while (this.wish !== null) {
        this.target = this.wish;
        this.wish = null;
        await this.#bring(this.target);
      }
    } finally {
      this.isSeeking = false;
      this.target = null;
    }
    if (!this.isPlaying) this.#sharpen();
  }

  /** Bring one frame into the picture. @param {number} position */
  async #bring(position) {
    if (!this.run.has_clip) {
      this.#paint(position, null);
      return;
    }
    const preview = this.preview;
    const slot = preview?.readySlot(position);
    if (preview && slot) {
      if (preview.active !== slot) preview.active.video.pause();
      preview.active = slot;
      if (await preview.seek(slot, position)) {
        this.#paint(position, slot.video);
        return;
      }
    }
    await this.#paintStill(position);
  }

  /** @param {number} position @param {Source} source */
  #paint(position, source) {
    this.position = position;
    this.show(position, source);
  }

  /** @param {number} position */
  async #paintStill(position) {
    try {
      const picture = await this.stills.get(position, STILL_LONG);
      this.notice("");
      this.#paint(position, picture);
    } catch (error) {
      this.notice(/** @type {Error} */ (error).message);
      this.#paint(position, null);
    }
  }

  /** Replace the paused picture of the preview by the exact still, and get the preview around it ready. */
  #sharpen() {
    clearTimeout(this.stillTimer);
    if (!this.run.has_clip) return;
    this.stillTimer = window.setTimeout(async () => {
      const position = this.position;
      if (this.preview && !this.preview.isMissing(position)) this.preview.slotFor(position);
      try {
        const picture = await this.stills.get(position, STILL_LONG);
        const isCurrent = position === this.position && !this.isPlaying && !this.isSeeking;
        if (isCurrent) this.show(position, picture);
      } catch {
        // The picture of the preview stays.
      }
    }, STILL_AFTER_MS);
  }

  /** Play on from here, or play a stretch of frames again and again. @param {[number, number] | null} [loop] */
  async play(loop = null) {
    this.#stop();
    const turn = ++this.turn;
    this.loop = loop;
    this.isPlaying = true;
    this.onPlaying(true);
    if (!loop && this.position >= this.run.num_frames - 1) await this.#go(0);
    const outside = loop && (this.position < loop[0] || this.position > loop[1]);
    if (outside) await this.#go(loop[0]);
    if (turn !== this.turn) return;
    const preview = this.preview;
    if (preview && !preview.isMissing(this.position)) {
      const slot = preview.slotFor(this.position);
      if (!slot.isReady) this.notice("The preview of these frames is being made.");
      const isThere = await slot.ready;
      if (turn !== this.turn) return;
      this.notice("");
      if (isThere) {
        const canTell = await preview.canTell(slot);
        if (turn !== this.turn) return;
        if (canTell) return this.#playPreview(turn);
      }
    }
    await this.#playByClock(turn);
  }

  pause() {
    if (!this.isPlaying) return;
    this.#stop();
    this.notice("");
    void this.#go(this.position); // the element may be a frame further than its last callback
  }

  #stop() {
    this.turn++;
    clearTimeout(this.stillTimer);
    if (this.preview) for (const slot of this.preview.slots) slot.video.pause();
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.onPlaying(false);
  }

  /** @param {number} speed */
  setSpeed(speed) {
    this.speed = speed;
    this.preview?.setRate(speed);
  }

  /** @param {number} turn */
  async #playPreview(turn) {
    const preview = /** @type {Preview} */ (this.preview);
    const slot = preview.slotFor(this.position);
    preview.active = slot;
    await preview.seek(slot, this.position);
    if (turn !== this.turn) return;
    preview.setRate(this.speed);
    const video = slot.video;
    const first = slot.piece * preview.pieceFrames;
    const lastOfPiece = preview.lastOf(slot);
    const isOver = () => turn !== this.turn || preview.active !== slot;
    const onEnded = () => void this.#next(turn, lastOfPiece);
    video.addEventListener("ended", onEnded, { once: true });
    const stop = () => video.removeEventListener("ended", onEnded);
    const onFrame = (/** @type {number} */ _, /** @type {{mediaTime: number}} */ data) => {
      if (isOver()) return stop();
      const position = preview.positionAt(data.mediaTime);
      const end = Math.min(lastOfPiece, this.loop ? this.loop[1] : Infinity);
      if (position <= end) this.#paint(position, video);
      if (position >= end) {
        stop();
        return void this.#next(turn, end);
      }
      const needsNext = (position - first) * 2 > preview.pieceFrames && lastOfPiece < (this.loop?.[1] ?? Infinity);
      if (needsNext && lastOfPiece + 1 < this.run.num_frames) preview.slotFor(lastOfPiece + 1);
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
    try {
      await video.play();
    } catch {
      stop(); // interrupted by a pause
    }
  }

  /** Play on after the end of a piece or of a loop. @param {number} turn @param {number} end */
  async #next(turn, end) {
    if (turn !== this.turn) return;
    const loop = this.loop;
    const preview = /** @type {Preview} */ (this.preview);
    preview.active.video.pause();
    const next = loop && end >= loop[1] ? loop[0] : end + 1;
    if (next >= this.run.num_frames) {
      this.#stop();
      this.notice("");
      return this.#go(end); // "ended" may come before the callback of the last frame
    }
    const slot = preview.slotFor(next);
    if (!slot.isReady) this.notice("The preview of these frames is being made.");
    const isThere = await slot.ready;
    if (turn !== this.turn) return;
    this.notice("");
    if (!isThere) return this.#playByClock(turn);
    await this.#go(next);
    if (turn === this.turn) await this.#playPreview(turn);
  }

  /**
   * Seek from frame to frame as time goes by: pictures of the preview where the browser does not tell which one it draws
   * while it plays, stills as they come where there is no preview, or no picture at all.
   * @param {number} turn
   */
  async #playByClock(turn) {
    let begin = performance.now();
    let from = this.position;
    let speed = this.speed;
    while (turn === this.turn) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      if (turn !== this.turn) return;
      const now = performance.now();
      if (speed !== this.speed) [begin, from, speed] = [now, this.position, this.speed];
      let position = Math.floor(from + ((now - begin) / 1000) * this.run.fps * speed);
      if (this.loop && position > this.loop[1]) [begin, from, position] = [now, this.loop[0], this.loop[0]];
      if (position >= this.run.num_frames) {
        await this.#go(this.run.num_frames - 1);
        return this.pause();
      }
      if (position === this.position) continue;
      if (await this.#waitForPreview(turn, position)) [begin, from] = [performance.now(), position];
      if (turn === this.turn) await this.#go(position);
    }
  }

  /**
   * Get the preview of a frame ready, and that of the frames after it in time.
   * @param {number} turn @param {number} position @returns {Promise<boolean>} whether it had to wait
   */
  async #waitForPreview(turn, position) {
    const { preview } = this;
    if (!preview || preview.isMissing(position)) return false;
    const slot = preview.slotFor(position);
    if (slot.isReady) {
      const next = preview.lastOf(slot) + 1;
      const isNear = (next - position) * 2 < preview.pieceFrames && next <= (this.loop?.[1] ?? this.run.num_frames - 1);
      if (isNear && slot === preview.active && !preview.isMissing(next)) preview.slotFor(next);
      return false;
    }
    this.notice("The preview of these frames is being made.");
    await slot.ready;
    if (turn === this.turn) this.notice("");
    return true;
  }
}
