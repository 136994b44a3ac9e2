/** Drawing of tracked people on the overlay, in the manner of tracker/io/drawing.py. */

import { lookOf } from "./colours.js";
import { boxOf, indexOfId, jointOf } from "./poses.js";
import { CORRECTED, INTERPOLATED, PROPAGATED } from "./types.js";

/** @import { FramePoses, Skeleton } from "./types.js" */
/** @import { View } from "./view.js" */

const FADE = 0.25; // a joint is opaque when its score is so far above the threshold
const INTERPOLATED_OPACITY = 0.4;
const DIM_OPACITY = 0.22;
const TRAIL_S = 1;
const HEAD = new Set(["nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_top"]);
const SIDES = /** @type {const} */ (["left", "middle", "right"]);

/** What is drawn of a skeleton. @param {Skeleton} skeleton */
export function bonesOf(skeleton) {
  const sides = skeleton.joints.map((name) => (name.startsWith("left_") ? -1 : name.startsWith("right_") ? 1 : 0));
  const limbs = skeleton.limbs.map(([a, b]) => ({
    a,
    b,
    side: SIDES[1 + Math.sign(sides[a] + sides[b])],
    isHead: HEAD.has(skeleton.joints[a]) || HEAD.has(skeleton.joints[b]),
  }));
  const heads = skeleton.joints.map((name) => HEAD.has(name));
  const hips = ["left_hip", "right_hip"].map((name) => skeleton.joints.indexOf(name));
  return { limbs, heads, hips: hips.includes(-1) ? null : hips, sides: sides.map((side) => SIDES[1 + side]) };
}

/** @typedef {ReturnType<typeof bonesOf>} Bones */

export class Painter {
  /**
   * @param {CanvasRenderingContext2D} context  in CSS pixels of the stage
   * @param {View} view
   * @param {Bones} bones
   * @param {number} threshold  score below which a joint is not drawn
   */
  constructor(context, view, bones, threshold) {
    this.c = context;
    this.view = view;
    this.bones = bones;
    this.threshold = threshold;
  }

  /** Width of a limb in CSS pixels: thinner on small people. @param {number[]} box */
  pen(box) {
    const short = Math.min(this.view.width, this.view.height);
    const share = Math.max(box[2] - box[0], box[3] - box[1]) / short;
    const pen = (short / 220) * Math.min(Math.max(share / 0.4, 0.5), 1) * this.view.scale;
    return Math.min(Math.max(pen, 1.4), 9);
  }

  /** @param {FramePoses} frame @param {number} index @param {number} joint */
  opacity(frame, index, joint) {
    const score = frame.scores[index * frame.joints + joint] / 255;
    const [x] = jointOf(frame, index, joint);
    return Number.isNaN(x) ? 0 : Math.min(Math.max((score - this.threshold) / FADE, 0), 1);
  }

  /**
   * The skeleton of one person: the outline of all of it first, so that limbs join without seams.
   * @param {FramePoses} frame @param {number} index @param {boolean} dim
   */
  body(frame, index, dim) {
    const { c, bones } = this;
    const look = lookOf(frame.ids[index]);
    const box = boxOf(frame, index);
    const pen = this.pen(box);
    const whole = (frame.flags[index] & INTERPOLATED ? INTERPOLATED_OPACITY : 1) * (dim ? DIM_OPACITY : 1);
    const points = bones.heads.map((_, joint) => this.view.toStage(...pair(jointOf(frame, index, joint))));
    const opacities = bones.heads.map((_, joint) => this.opacity(frame, index, joint));
    if (opacities.every((opacity) => opacity === 0)) {
      c.globalAlpha = whole;
      this.outline(box, look.middle, look.dash, 1.5);
      c.globalAlpha = 1;
      return;
    }
    c.lineCap = "round";
    c.setLineDash([]);
    for (const isRim of [true, false]) {
      for (const side of isRim ? SIDES : /** @type {const} */ (["right", "middle", "left"])) {
        c.strokeStyle = c.fillStyle = isRim ? look.dark : look[side];
        const rim = isRim ? Math.max(1, 0.35 * pen) : 0;
        for (const limb of bones.limbs) {
          const alpha = Math.min(opacities[limb.a], opacities[limb.b]);
          if (limb.side !== side || alpha === 0) continue;
          c.globalAlpha = alpha * whole;
          c.lineWidth = pen * (limb.isHead ? 0.5 : 1) + 2 * rim;
          c.beginPath();
          c.moveTo(points[limb.a][0], points[limb.a][1]);
          c.lineTo(points[limb.b][0], points[limb.b][1]);
          c.stroke();
        }
        points.forEach(([x, y], joint) => {
          if (bones.sides[joint] !== side || opacities[joint] === 0) return;
          c.globalAlpha = opacities[joint] * whole;
          c.beginPath();
          c.arc(x, y, (pen * (bones.heads[joint] ? 0.9 : 1.9)) / 2 + rim, 0, 2 * Math.PI);
          c.fill();
        });
      }
    }
    c.globalAlpha = 1;
  }

  /** A box around a person. @param {number[]} box @param {string} colour @param {number[]} dash @param {number} width @param {number} [grow] CSS pixels */
  outline(box, colour, dash, width, grow = 0) {
    const { c } = this;
    const [x1, y1] = this.view.toStage(box[0], box[1]);
    const [x2, y2] = this.view.toStage(box[2], box[3]);
    c.lineCap = "butt";
    c.beginPath();
    c.roundRect(x1 - grow, y1 - grow, x2 - x1 + 2 * grow, y2 - y1 + 2 * grow, 6);
    c.setLineDash([]);
    c.strokeStyle = "rgb(0 0 0 / 0.65)";
    c.lineWidth = width + 2;
    c.stroke();
    c.setLineDash(dash);
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.stroke();
    c.setLineDash([]);
  }

  /** The centre of the hips, or of the box's lower side without hips. @param {FramePoses} frame @param {number} index */
  #foot(frame, index) {
    const hips = this.bones.hips;
    if (hips) {
      const [a, b] = hips.map((joint) => jointOf(frame, index, joint));
      if (!Number.isNaN(a[0] + b[0])) return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    }
    const box = boxOf(frame, index);
    return [(box[0] + box[2]) / 2, box[3]];
  }

  /**
   * Where a person was during the last second, in the dashes of the identity.
   * @param {FramePoses} frame @param {number} index @param {(position: number) => FramePoses | null} at @param {number} fps @param {boolean} dim
   */
  trail(frame, index, at, fps, dim) {
    const { c, view } = this;
    const look = lookOf(frame.ids[index]);
    const count = Math.round(TRAIL_S * fps);
    const step = Math.max(1, Math.round(count / 40));
    c.lineCap = "butt";
    c.lineWidth = Math.max(1.5, this.pen(boxOf(frame, index)) * 0.7);
    c.strokeStyle = look.middle;
    c.setLineDash(look.dash);
    let [x0, y0] = view.toStage(...pair(this.#foot(frame, index)));
    let run = 0; // so that dashes join from one stretch to the next
    for (let age = step; age <= count; age += step) {
      const before = at(frame.position - age);
      const there = indexOfId(before, frame.ids[index]);
      if (!before || there < 0) break;
      const [x, y] = view.toStage(...pair(this.#foot(before, there)));
      c.globalAlpha = 0.8 * (1 - age / count) * (dim ? DIM_OPACITY : 1);
      c.lineDashOffset = run;
      c.beginPath();
      c.moveTo(x0, y0);
      c.lineTo(x, y);
      c.stroke();
      run += Math.hypot(x - x0, y - y0);
      [x0, y0] = [x, y];
    }
    c.globalAlpha = 1;
    c.lineDashOffset = 0;
    c.setLineDash([]);
  }

  /**
   * A pill above the head: number, name and the dashes of the identity; hollow where the pose was not detected.
   * @param {FramePoses} frame @param {number} index @param {string} name @param {boolean} dim @param {number[][]} taken  places of labels drawn before
   */
  label(frame, index, name, dim, taken) {
    const { c, view } = this;
    const id = frame.ids[index];
    const look = lookOf(id);
    const isHollow = (frame.flags[index] & (INTERPOLATED | PROPAGATED)) !== 0;
    const text = (name ? `${id} ${name}` : `${id}`) + (frame.flags[index] & CORRECTED ? " ✎" : "");
    c.font = "600 13px system-ui, sans-serif";
    const width = Math.max(c.measureText(text).width + 14, 24);
    const height = 23;
    const box = boxOf(frame, index);
    const [centre] = view.toStage((box[0] + box[2]) / 2, 0);
    let left = centre - width / 2;
    let top = view.toStage(0, box[1])[1] - height - 6;
    left = Math.min(Math.max(left, 2), Math.max(view.stage[0] - width - 2, 2));
    top = Math.min(Math.max(top, 2), Math.max(view.stage[1] - height - 2, 2));
    for (const [x, y, w] of taken) if (left < x + w && x < left + width && Math.abs(top - y) < height) top = y + height + 2;
    taken.push([left, top, width]);
    c.globalAlpha = dim ? 0.45 : 1;
    c.beginPath();
    c.roundRect(left, top, width, height, 7);
    c.fillStyle = isHollow ? look.dark : look.left;
    c.fill();
    c.lineWidth = 1.5;
    c.strokeStyle = isHollow ? look.left : look.dark;
    c.stroke();
    c.fillStyle = c.strokeStyle = isHollow ? look.left : look.dark;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.fillText(text, left + width / 2, top + height / 2 - 1.5);
    c.lineCap = "butt";
    c.lineWidth = 2;
    c.setLineDash(look.dash);
    c.beginPath();
    c.moveTo(left + 6, top + height - 4);
    c.lineTo(left + width - 6, top + height - 4);
    c.stroke();
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  /**
   * A joint that can be moved: a ring around its exact place.
   * @param {number[]} xy  pixels of the clip @param {string} colour @param {boolean} isActive @param {boolean} isMissing @param {string} name
   */
  handle(xy, colour, isActive, isMissing, name) {
    const { c } = this;
    const [x, y] = this.view.toStage(xy[0], xy[1]);
    const ring = (/** @type {number} */ radius, /** @type {string} */ style, /** @type {number} */ width) => {
      c.beginPath();
      c.arc(x, y, radius, 0, 2 * Math.PI);
      c.strokeStyle = style;
      c.lineWidth = width;
      c.stroke();
    };
    c.setLineDash(isMissing ? [3, 3] : []);
    ring(isActive ? 9 : 6, "rgb(0 0 0 / 0.8)", 4);
    ring(isActive ? 9 : 6, isActive ? "#ffffff" : colour, 2);
    c.setLineDash([]);
    c.fillStyle = "#ffffff";
    c.beginPath();
    c.arc(x, y, 1.5, 0, 2 * Math.PI);
    c.fill();
    if (isActive) this.#tag(name, x + 14, y);
  }

  /** @param {string} text @param {number} x @param {number} y */
  #tag(text, x, y) {
    const { c } = this;
    c.font = "500 13px system-ui, sans-serif";
    const width = c.measureText(text).width + 12;
    const left = x + width > this.view.stage[0] ? x - 28 - width : x;
    c.fillStyle = "rgb(16 18 22 / 0.85)";
    c.beginPath();
    c.roundRect(left, y - 11, width, 22, 5);
    c.fill();
    c.fillStyle = "#ffffff";
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.fillText(text, left + 6, y);
  }
}

/** @param {number[]} xy @returns {[number, number]} */
const pair = (xy) => [xy[0], xy[1]];
