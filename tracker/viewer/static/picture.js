/** The stage: picture and skeletons on two canvases, zoom, pan, and which person is under the pointer. */

import { Painter, bonesOf } from "./draw.js";
import { lookOf } from "./colours.js";
import { boxOf, indexOfId, jointOf } from "./poses.js";
import { state } from "./state.js";
import { View } from "./view.js";

/** @import { Source } from "./player.js" */

const CLICK_PX = 4; // further than that the pointer drags

/**
 * @typedef {object} Tool  what takes the pointer first, as moving joints does
 * @property {(x: number, y: number) => boolean} down  pixels of the clip; true: it drags now
 * @property {(x: number, y: number) => void} move
 * @property {() => void} up
 * @property {(painter: Painter) => void} paint
 */

export class Picture {
  /** @param {HTMLElement} stage @param {HTMLCanvasElement} picture @param {HTMLCanvasElement} overlay */
  constructor(stage, picture, overlay) {
    this.stage = stage;
    this.canvases = [picture, overlay];
    this.picture = /** @type {CanvasRenderingContext2D} */ (picture.getContext("2d", { alpha: false }));
    this.overlay = /** @type {CanvasRenderingContext2D} */ (overlay.getContext("2d"));
    this.view = new View(state.run.width, state.run.height);
    const bones = bonesOf(state.run.skeleton);
    this.painter = new Painter(this.overlay, this.view, bones, state.run.joint_score_threshold);
    this.buffer = document.createElement("canvas"); // the last picture: zooming draws it again
    this.hasPicture = false;
    this.isScheduled = false;
    /** @type {Tool | null} */
    this.tool = null;
    /** @type {(position: number, index: number) => void} */
    this.onPick = () => {};
    new ResizeObserver(() => this.resize()).observe(stage);
    this.#listen();
    this.resize();
  }

  /** The picture of a frame has come. @param {Source} source */
  take(source) {
    this.hasPicture = source !== null;
    if (source) {
      const size = source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : sizeOf(source);
      if (this.buffer.width !== size[0] || this.buffer.height !== size[1]) {
        [this.buffer.width, this.buffer.height] = size;
      }
      /** @type {CanvasRenderingContext2D} */ (this.buffer.getContext("2d", { alpha: false })).drawImage(source, 0, 0);
    }
    this.draw();
  }

  resize() {
    const { width, height } = this.stage.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.view.resize(width, height);
    for (const canvas of this.canvases) {
      canvas.width = Math.max(Math.round(width * ratio), 1);
      canvas.height = Math.max(Math.round(height * ratio), 1);
    }
    this.draw();
  }

  /** Draw before the next repaint, once however often it is asked for. */
  schedule() {
    if (this.isScheduled) return;
    this.isScheduled = true;
    requestAnimationFrame(() => {
      this.isScheduled = false;
      this.draw();
    });
  }

  draw() {
    const { view } = this;
    const ratio = this.canvases[0].width / view.stage[0];
    const style = getComputedStyle(this.stage);
    this.picture.setTransform(1, 0, 0, 1, 0, 0);
    this.picture.fillStyle = style.getPropertyValue("--stage");
    this.picture.fillRect(0, 0, this.canvases[0].width, this.canvases[0].height);
    this.picture.setTransform(ratio, 0, 0, ratio, 0, 0);
    const [width, height] = [view.width * view.scale, view.height * view.scale];
    if (this.hasPicture) {
      this.picture.imageSmoothingEnabled = view.scale * ratio < 4;
      this.picture.imageSmoothingQuality = "high";
      this.picture.drawImage(this.buffer, view.left, view.top, width, height);
    } else {
      this.picture.fillStyle = style.getPropertyValue("--no-picture");
      this.picture.fillRect(view.left, view.top, width, height);
    }
    this.overlay.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.overlay.clearRect(0, 0, view.stage[0], view.stage[1]);
    this.#drawPeople();
    this.tool?.paint(this.painter);
    const data = this.stage.dataset;
    data.frame = String(state.shown);
    data.matrix = [view.scale, view.left, view.top].join(" ");
  }

  #drawPeople() {
    const frame = state.frame();
    if (!frame) return;
    const { painter } = this;
    const { selected, show, suspect } = state;
    const lit = new Set([selected?.id, ...(suspect ? [...suspect.people, ...suspect.candidates.slice(0, 2)] : [])]);
    const isDim = (/** @type {number} */ index) => show.dim && selected !== null && !lit.has(frame.ids[index]);
    const order = Array.from({ length: frame.count }, (_, index) => index);
    order.sort((a, b) => frame.boxes[4 * a + 3] - frame.boxes[4 * b + 3]); // nearer people cover farther ones
    if (show.skeletons) {
      if (show.trails) {
        const at = (/** @type {number} */ position) => state.poses.peek(position);
        for (const index of order) painter.trail(frame, index, at, state.run.fps, isDim(index));
      }
      for (const index of order) painter.body(frame, index, isDim(index));
    }
    if (suspect) {
      for (const id of suspect.people) this.#mark(id, []);
      for (const id of suspect.candidates.slice(0, 2)) this.#mark(id, [6, 5]);
    }
    if (selected) this.#mark(selected.id, null);
    /** @type {number[][]} */
    const taken = [];
    if (show.names) {
      for (const index of order.reverse()) {
        painter.label(frame, index, state.tracks.get(frame.ids[index])?.name ?? "", isDim(index), taken);
      }
    }
  }

  /** Outline a person: people of a suspect whole, candidates dashed, the selected one with corners. @param {number} id @param {number[] | null} dash */
  #mark(id, dash) {
    const frame = state.frame();
    const index = indexOfId(frame, id);
    if (!frame || index < 0) return;
    const box = boxOf(frame, index);
    const look = lookOf(id);
    if (dash) this.painter.outline(box, look.left, dash, 2, 5);
    else this.painter.outline(box, "#ffffff", look.dash, 2.5, 10);
  }

  /** The person under a point of the stage: nearest joint, or else the smallest box. @param {number} x @param {number} y */
  pick(x, y) {
    const frame = state.frame();
    if (!frame) return -1;
    const [cx, cy] = this.view.toClip(x, y);
    let [best, least] = [-1, 14 / this.view.scale];
    for (let index = 0; index < frame.count; index++) {
      for (let joint = 0; joint < frame.joints; joint++) {
        if (this.painter.opacity(frame, index, joint) === 0) continue;
        const [jx, jy] = jointOf(frame, index, joint);
        const distance = Math.hypot(jx - cx, jy - cy);
        if (distance < least) [best, least] = [index, distance];
      }
    }
    if (best >= 0) return best;
    let area = Infinity;
    for (let index = 0; index < frame.count; index++) {
      const [x1, y1, x2, y2] = boxOf(frame, index);
      const isInside = cx >= x1 && cx <= x2 && cy >= y1 && cy <= y2;
      if (isInside && (x2 - x1) * (y2 - y1) < area) [best, area] = [index, (x2 - x1) * (y2 - y1)];
    }
    return best;
  }

  #listen() {
    const { stage, view } = this;
    /** @type {{x: number, y: number, isDrag: boolean, byTool: boolean} | null} */
    let pointer = null;
    const at = (/** @type {MouseEvent} */ event) => {
      const box = stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [x, y] = at(event);
      view.zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), x, y);
      this.schedule();
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const [x, y] = at(event);
      const [cx, cy] = view.toClip(x, y);
      pointer = { x, y, isDrag: false, byTool: this.tool?.down(cx, cy) ?? false };
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!pointer) return;
      const [x, y] = at(event);
      if (pointer.byTool) {
        const [cx, cy] = view.toClip(x, y);
        this.tool?.move(cx, cy);
      } else if (pointer.isDrag || Math.hypot(x - pointer.x, y - pointer.y) > CLICK_PX) {
        view.pan(x - pointer.x, y - pointer.y);
        pointer = { x, y, isDrag: true, byTool: false };
        stage.classList.add("drags");
      }
      this.schedule();
    });
    const end = (/** @type {PointerEvent} */ event) => {
      if (!pointer) return;
      const was = pointer;
      pointer = null;
      stage.classList.remove("drags");
      if (was.byTool) return this.tool?.up();
      if (was.isDrag || event.type === "pointercancel") return;
      const [x, y] = at(event);
      this.onPick(state.shown, this.pick(x, y));
    };
    stage.addEventListener("pointerup", end);
    stage.addEventListener("pointercancel", end);
    stage.addEventListener("dblclick", () => {
      view.reset();
      this.schedule();
    });
  }
}

/** @param {any} source */
const sizeOf = (source) => [source.width, source.height];
