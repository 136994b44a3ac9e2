/** Moving joints of the selected person, and placing those of a person who was missed. */

import { lookOf } from "./colours.js";
import { capitalised, toast } from "./elements.js";
import { confirm, drop, pendingAction, propose } from "./ops.js";
import { boxOf, indexOfId, jointOf } from "./poses.js";
import { state } from "./state.js";

/** @import { Painter } from "./draw.js" */
/** @import { PoseRef } from "./types.js" */

const REACH_PX = 12; // CSS pixels around a joint
const TEMPLATE = /** @type {Record<string, [number, number]>} */ ({
  // where the joints of a standing person are in the box
  nose: [0.5, 0.07], left_eye: [0.54, 0.05], right_eye: [0.46, 0.05], left_ear: [0.59, 0.06], right_ear: [0.41, 0.06],
  head_top: [0.5, 0], head_bottom: [0.5, 0.14], neck: [0.5, 0.16],
  left_shoulder: [0.7, 0.2], right_shoulder: [0.3, 0.2], left_elbow: [0.8, 0.36], right_elbow: [0.2, 0.36],
  left_wrist: [0.82, 0.5], right_wrist: [0.18, 0.5], left_hip: [0.62, 0.52], right_hip: [0.38, 0.52],
  left_knee: [0.63, 0.75], right_knee: [0.37, 0.75], left_ankle: [0.63, 0.97], right_ankle: [0.37, 0.97],
});

/** What a joint is called in a sentence. @param {string} name */
export const spoken = (name) => name.replaceAll("_", " ");

/** @import { Tool } from "./picture.js" */
/** @implements {Tool} */
export class Joints {
  /** @param {import("./picture.js").Picture} picture @param {(text: string) => void} hint */
  constructor(picture, hint) {
    this.picture = picture;
    this.hint = hint;
    this.names = state.run.skeleton.joints;
    this.active = 0; // a joint; in a new person, -1 is all of them together
    /** @type {Map<number, number[]>} joints and where they were put, pixels of the clip */
    this.moved = new Map();
    /** @type {{position: number, like: PoseRef | null} | null} of a new person */
    this.draft = null;
    this.position = -1; // of the frame whose joints were moved
    /** @type {{x: number, y: number, start: Map<number, number[]>, isMoved: boolean} | null} */
    this.drag = null;
    this.isOn = false;
  }

  toggle() {
    if (this.isOn) return this.leave();
    if (!state.selectedHere()) return toast("Select a person in this frame first.");
    this.#enter();
    this.active = this.#suspected();
    this.#say();
  }

  /** The joint that an open suspect is about, by its reason; otherwise the first one. */
  #suspected() {
    const reason = state.suspect?.kind === "joint" ? state.suspect.reason : "";
    const places = this.names.map((name) => reason.indexOf(spoken(name)));
    const first = Math.min(...places.filter((place) => place >= 0));
    return Math.max(places.indexOf(first), 0);
  }

  #enter() {
    this.isOn = true;
    this.picture.tool = this;
    this.picture.stage.classList.add("joints");
    this.picture.schedule();
  }

  /** @returns {boolean} whether joints were being moved */
  leave() {
    const wasOn = this.isOn;
    if (wasOn && ["move joints", "add"].includes(pendingAction())) drop();
    this.isOn = false;
    this.draft = null;
    this.drag = null;
    this.moved.clear();
    this.picture.tool = null;
    this.picture.stage.classList.remove("joints");
    this.hint("");
    this.picture.schedule();
    return wasOn;
  }

  /** Begin a new person in this frame, in the place of the selected one if that one is missing here. */
  async add() {
    if (pendingAction() === "add") return confirm();
    this.leave();
    const position = state.shown;
    const missing = state.selected && !state.selectedHere() ? state.selected : null;
    const like = missing ? await state.poseOf(missing.id, position) : null;
    const { width, height } = state.run;
    let box = [0.5 * width - 0.12 * height, 0.2 * height, 0.5 * width + 0.12 * height, 0.8 * height];
    this.moved = new Map();
    if (like) {
      const frame = await state.poses.load(like[0]);
      box = boxOf(frame, like[1]);
      this.names.forEach((_, joint) => {
        const xy = jointOf(frame, like[1], joint);
        if (!Number.isNaN(xy[0])) this.moved.set(joint, xy);
      });
    }
    this.names.forEach((name, joint) => {
      if (!this.moved.has(joint)) this.moved.set(joint, placeIn(box, name));
    });
    this.draft = { position, like };
    this.position = position;
    this.active = -1;
    this.#enter();
    this.#say();
    await this.#propose();
  }

  /** @param {number} by */
  next(by) {
    const first = this.draft ? -1 : 0;
    const count = this.names.length - first;
    this.active = first + ((this.active - first + by + count) % count);
    this.#say();
    this.picture.schedule();
  }

  #say() {
    const name = this.active < 0 ? "The whole person" : capitalised(spoken(this.names[this.active]));
    this.hint(`${name}: drag it, or use the arrow keys. Tab: next joint. Esc: done.`);
  }

  /** Move the active joint. @param {number} dx @param {number} dy  pixels of the clip */
  nudge(dx, dy) {
    if (!this.#here()) return;
    const joints = this.active < 0 ? this.names.map((_, joint) => joint) : [this.active];
    for (const joint of joints) {
      const xy = this.place(joint);
      this.moved.set(joint, [xy[0] + dx, xy[1] + dy]);
    }
    this.position = state.shown;
    this.picture.schedule();
    void this.#propose();
  }

  async hide() {
    const pose = state.selectedHere();
    if (!this.isOn || this.draft || !pose) return toast("Move joints first (J), and choose one.");
    const joint = this.names[this.active];
    await propose({
      action: "hideJoint",
      says: `Hide the ${spoken(joint)} of ${state.nameOf(state.selected?.id ?? 0)} …`,
      poses: { pose },
      build: ({ pose }) => [{ op: "hide", pose, joint }],
    });
  }

  /** The frame shown has a person whose joints are moved. */
  #here() {
    if (this.draft) return this.draft.position === state.shown;
    if (this.position !== state.shown) this.moved.clear();
    return state.selectedHere() !== null;
  }

  /** Where a joint stands, pixels of the clip. @param {number} joint @returns {number[]} */
  place(joint) {
    const moved = this.moved.get(joint);
    if (moved) return moved;
    const frame = state.frame();
    const index = indexOfId(frame, state.selected?.id ?? -1);
    if (!frame || index < 0) return [NaN, NaN];
    const xy = jointOf(frame, index, joint);
    return Number.isNaN(xy[0]) ? placeIn(boxOf(frame, index), this.names[joint]) : xy;
  }

  /** @param {number} x @param {number} y */
  down(x, y) {
    if (!this.#here()) return false;
    const reach = REACH_PX / this.picture.view.scale;
    let [best, least] = [-1, reach];
    this.names.forEach((_, joint) => {
      const [jx, jy] = this.place(joint);
      const distance = Math.hypot(jx - x, jy - y);
      if (distance < least) [best, least] = [joint, distance];
    });
    const [all, isInside] = [[...this.moved.values()], this.draft !== null && best < 0];
    if (best < 0 && !(isInside && isAmong(all, x, y))) return false;
    this.active = best;
    this.#say();
    const start = new Map();
    for (const joint of best < 0 ? this.names.keys() : [best]) start.set(joint, this.place(joint));
    this.drag = { x, y, start, isMoved: false };
    return true;
  }

  /** @param {number} x @param {number} y */
  move(x, y) {
    if (!this.drag) return;
    const [dx, dy] = [x - this.drag.x, y - this.drag.y];
    if (!this.drag.isMoved && Math.hypot(dx, dy) * this.picture.view.scale < 2) return;
    this.drag.isMoved = true;
    for (const [joint, xy] of this.drag.start) this.moved.set(joint, [xy[0] + dx, xy[1] + dy]);
    this.position = state.shown;
  }

  up() {
    const isMoved = this.drag?.isMoved;
    this.drag = null;
    this.picture.schedule();
    if (isMoved) void this.#propose();
  }

  async #propose() {
    const places = () => [...this.moved].map(([joint, xy]) => [this.names[joint], xy.map((value) => Math.round(value * 100) / 100)]);
    const dropped = () => {
      this.moved.clear();
      if (this.draft) this.leave();
      this.picture.schedule();
    };
    const after = () => {
      this.moved.clear();
      if (this.draft) this.leave();
      this.picture.schedule();
    };
    const draft = this.draft;
    if (draft) {
      const poses = /** @type {Record<string, PoseRef>} */ (draft.like ? { like: draft.like } : {});
      const build = (/** @type {Record<string, PoseRef>} */ { like }) => [
        { op: "add", frame: draft.position, joints: Object.fromEntries(places()), like: like ?? null },
      ];
      const says = "Add a person: drag it into place.";
      return propose({ action: "add", says, poses, build, after, dropped, again: true });
    }
    const pose = state.selectedHere();
    if (!pose) return;
    const says = `Move joints of ${state.nameOf(state.selected?.id ?? 0)} …`;
    const build = (/** @type {Record<string, PoseRef>} */ { pose }) =>
      places().map(([joint, xy]) => ({ op: "move", pose, joint, xy }));
    return propose({ action: "move joints", says, poses: { pose }, build, after, dropped, again: true });
  }

  /** @param {Painter} painter */
  paint(painter) {
    if (!this.isOn || state.playing || !this.#here()) return;
    const frame = state.frame();
    const index = indexOfId(frame, state.selected?.id ?? -1);
    const look = lookOf(this.draft ? 0 : (state.selected?.id ?? 0));
    this.#paintLimbs(painter, look.left);
    this.names.forEach((name, joint) => {
      const isMissing = !this.draft && !this.moved.has(joint) && frame !== null && painter.opacity(frame, index, joint) === 0;
      if (joint !== this.active) painter.handle(this.place(joint), look.left, false, isMissing, "");
    });
    if (this.active >= 0) painter.handle(this.place(this.active), look.left, true, false, spoken(this.names[this.active]));
  }

  /** The limbs of joints that were moved, where they would be. @param {Painter} painter @param {string} colour */
  #paintLimbs(painter, colour) {
    const { c, view } = painter;
    c.setLineDash([]);
    for (const { a, b } of painter.bones.limbs) {
      if (!this.moved.has(a) && !this.moved.has(b)) continue;
      for (const [style, width] of /** @type {[string, number][]} */ ([["rgb(0 0 0 / 0.7)", 5], [colour, 3]])) {
        c.strokeStyle = style;
        c.lineWidth = width;
        c.beginPath();
        for (const joint of [a, b]) {
          const [x, y] = this.place(joint);
          const [sx, sy] = view.toStage(x, y);
          if (joint === a) c.moveTo(sx, sy);
          else c.lineTo(sx, sy);
        }
        c.stroke();
      }
    }
  }
}

/** Where a joint of a standing person would be. @param {number[]} box @param {string} name */
function placeIn(box, name) {
  const [x, y] = TEMPLATE[name] ?? [0.5, 0.5];
  return [box[0] + x * (box[2] - box[0]), box[1] + y * (box[3] - box[1])];
}

/** Whether a point lies in the box around points. @param {number[][]} points @param {number} x @param {number} y */
function isAmong(points, x, y) {
  const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
  return x > Math.min(...xs) && x < Math.max(...xs) && y > Math.min(...ys) && y < Math.max(...ys);
}
