/** Two stills side by side: before and after the place of a suspect, cut out around its people. */

import { Painter, bonesOf } from "./draw.js";
import { make } from "./elements.js";
import { boxOf, indexOfId } from "./poses.js";
import { state } from "./state.js";
import { View } from "./view.js";

/** @import { Stills } from "./stills.js" */
/** @import { Suspect } from "./types.js" */

const SIZE = [210, 190]; // CSS pixels
const STILL_LONG = 1280;

/** @param {Suspect} suspect @param {Stills | null} stills @returns {HTMLElement} */
export function compared(suspect, stills) {
  const [before, after] = suspect.last > suspect.position
    ? [suspect.position, suspect.last]
    : [state.clamp(suspect.position - 1), suspect.position];
  const ids = [...new Set([...suspect.people, ...suspect.candidates.slice(0, 2)])];
  const figures = [["Before", before], ["After", after]].map(([title, position]) => {
    const canvas = make("canvas", { role: "img", "aria-label": `${title}: frame ${state.number(Number(position))}` });
    const text = make("figcaption", {}, `${title} · frame ${state.number(Number(position))}`);
    return { canvas, position: Number(position), figure: make("figure", {}, canvas, text) };
  });
  void draw(figures, ids, stills);
  return make("div", { class: "compare" }, ...figures.map(({ figure }) => figure));
}

/** @param {{canvas: HTMLCanvasElement, position: number}[]} figures @param {number[]} ids @param {Stills | null} stills */
async function draw(figures, ids, stills) {
  const poses = state.poses;
  const frames = await Promise.all(figures.map(({ position }) => poses.load(position)));
  const boxes = frames.flatMap((frame) => {
    const rows = ids.map((id) => indexOfId(frame, id)).filter((index) => index >= 0);
    return rows.map((index) => boxOf(frame, index));
  });
  const whole = [0, 0, state.run.width, state.run.height];
  const box = boxes.length
    ? boxes.reduce((a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])])
    : whole;
  figures.forEach(async ({ canvas, position }, k) => {
    const picture = state.run.has_clip && stills ? await stills.get(position, STILL_LONG).catch(() => null) : null;
    const ratio = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = SIZE.map((size) => Math.round(size * ratio));
    const c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.fillStyle = getComputedStyle(canvas).getPropertyValue("--no-picture");
    c.fillRect(0, 0, SIZE[0], SIZE[1]);
    const view = new View(state.run.width, state.run.height);
    view.resize(SIZE[0], SIZE[1]);
    view.fit(box, 1.25);
    if (picture) c.drawImage(picture, view.left, view.top, view.width * view.scale, view.height * view.scale);
    const painter = new Painter(c, view, bonesOf(state.run.skeleton), state.run.joint_score_threshold);
    const frame = frames[k];
    for (let index = 0; index < frame.count; index++) painter.body(frame, index, !ids.includes(frame.ids[index]));
    /** @type {number[][]} */
    const taken = [];
    for (const id of ids) {
      const index = indexOfId(frame, id);
      if (index >= 0) painter.label(frame, index, "", false, taken);
    }
  });
}
