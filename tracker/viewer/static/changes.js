/** The changes a person can make, each as the request that the server takes. */

import { toast } from "./elements.js";
import { propose } from "./ops.js";
import { indexOfId } from "./poses.js";
import { state } from "./state.js";

/** @import { PoseRef, Track } from "./types.js" */

/** The selected person in this frame, or null with a sentence. @returns {PoseRef | null} */
function selectedHere() {
  const here = state.selectedHere();
  if (here) return here;
  const id = state.selected?.id;
  toast(id === undefined ? "Select a person first: click, or type the number." : `Not in this frame: ${state.nameOf(id)}.`);
  return null;
}

/** @param {number} id @returns {[string, string]} */
const choice = (id) => [String(id), state.nameOf(id)];

/** Identities with which a person may be exchanged, the likeliest first: those of the suspect, then those nearby. @param {number} id */
function partners(id) {
  const frame = state.frame();
  const me = indexOfId(frame, id);
  const suspect = state.suspect ? [...state.suspect.candidates, ...state.suspect.people] : [];
  /** @type {number[]} */
  let near = [];
  if (frame && me >= 0) {
    const centre = (/** @type {number} */ index) => [
      frame.boxes[4 * index] + frame.boxes[4 * index + 2],
      frame.boxes[4 * index + 1] + frame.boxes[4 * index + 3],
    ];
    const [x, y] = centre(me);
    const distance = (/** @type {number} */ other) => {
      const [ox, oy] = centre(frame.ids.indexOf(other));
      return Math.hypot(ox - x, oy - y);
    };
    near = [...frame.ids].sort((a, b) => distance(a) - distance(b));
  }
  return [...new Set([...suspect, ...near])].filter((other) => other !== id && state.tracks.has(other));
}

/** Identities that a person may be joined with: never in view together, the nearest in time first. @param {number} id */
function successors(id) {
  const me = /** @type {Track} */ (state.tracks.get(id));
  const suspect = state.suspect ? [...state.suspect.candidates, ...state.suspect.people] : [];
  const gap = (/** @type {Track} */ other) => Math.max(other.first - me.last, me.first - other.last);
  const apart = [...state.tracks.values()].filter((other) => gap(other) > 0);
  const near = apart.sort((a, b) => gap(a) - gap(b)).slice(0, 30);
  const ids = [...suspect, ...near.map((track) => track.id)];
  return [...new Set(ids)].filter((other) => other !== id && state.tracks.has(other));
}

/** @param {boolean} onlyHere */
export async function swap(onlyHere) {
  const a = selectedHere();
  if (!a || !state.selected) return;
  const id = state.selected.id;
  const others = partners(id);
  if (!others.length) return toast("There is no other person to swap with.");
  await propose({
    action: onlyHere ? "swapHere" : "swap",
    says: `Swap ${state.nameOf(id)} …`,
    poses: { a },
    options: [
      { name: "with", label: "with", value: String(others[0]), choices: others.map(choice) },
      {
        name: "scope",
        label: "",
        value: onlyHere ? "here" : "onwards",
        choices: [["onwards", "from here on"], ["here", "only this frame"]],
      },
    ],
    build: async (poses, values) => {
      const b = await other(Number(values.with), poses.a[0]);
      return [{ op: "swap", a: poses.a, b, only_here: values.scope === "here" }];
    },
    pick: (other) => (other === id ? null : String(other)),
  });
}

/** The pose of another identity at or near a frame. @param {number} id @param {number} position */
async function other(id, position) {
  const pose = await state.poseOf(id, position);
  if (!pose) throw new Error(`There is no person ${id} any more. Choose another one.`);
  return pose;
}

export async function join() {
  if (!state.selected) return selectedHere();
  const { id, position, index } = state.selected;
  const others = successors(id);
  await propose({
    action: "join",
    says: `Join ${state.nameOf(id)} …`,
    poses: { a: [position, index] },
    options: [{ name: "with", label: "with", value: String(others[0] ?? ""), choices: others.map(choice) }],
    build: async (poses, values) => {
      if (!values.with) throw new Error("Click the person to join with, or type the number.");
      return [{ op: "join", a: poses.a, b: await other(Number(values.with), poses.a[0]) }];
    },
    pick: (other) => (other === id ? null : String(other)),
  });
}

export async function split() {
  const pose = selectedHere();
  if (!pose || !state.selected) return;
  await propose({
    action: "split",
    says: `Split ${state.nameOf(state.selected.id)} …`,
    poses: { pose },
    build: ({ pose }) => [{ op: "split", pose }],
  });
}

export async function rename() {
  if (!state.selected) return selectedHere();
  const { id, position, index } = state.selected;
  await propose({
    action: "rename",
    says: `Name ${state.nameOf(id)} …`,
    poses: { pose: [position, index] },
    options: [{ name: "name", label: "Name", value: state.tracks.get(id)?.name ?? "" }],
    build: ({ pose }, { name }) => {
      if (!name.trim()) throw new Error("Write a name.");
      return [{ op: "name", pose, name: name.trim() }];
    },
  });
}

/** @param {"here" | "onwards"} scope */
export async function remove(scope) {
  const pose = selectedHere();
  if (!pose || !state.selected) return;
  await propose({
    action: scope === "here" ? "removeHere" : "remove",
    says: `Remove ${state.nameOf(state.selected.id)} …`,
    poses: { pose },
    options: [
      {
        name: "scope",
        label: "",
        value: scope,
        choices: [["onwards", "from here on"], ["here", "only this frame"], ["track", "in all frames"]],
      },
    ],
    build: ({ pose }, { scope }) => [{ op: "remove", pose, scope }],
  });
}

export async function flip() {
  const pose = selectedHere();
  if (!pose || !state.selected) return;
  const { suspect } = state;
  const isSuspect = suspect?.kind === "flip" && suspect.people.includes(state.selected.id) && suspect.last >= pose[0];
  await propose({
    action: "flip",
    says: `Exchange left and right of ${state.nameOf(state.selected.id)} …`,
    poses: { pose },
    options: [
      { name: "part", label: "of", value: "all", choices: [["all", "the whole body"], ["arms", "the arms"], ["legs", "the legs"], ["face", "the face"]] },
      { name: "to", label: "to frame", value: String(state.number(isSuspect ? suspect.last : pose[0])) },
    ],
    build: ({ pose }, { part, to }) => {
      if (!/^\d+$/.test(to.trim())) throw new Error("Write the number of the last frame.");
      return [{ op: "flip", pose, to: Math.max(state.positionOf(Number(to)), pose[0]), part }];
    },
  });
}

/** @param {() => void} after */
export async function fine(after) {
  const suspect = state.suspect;
  if (!suspect) return toast("Open a suspect first, with N.");
  await propose({
    action: "fine",
    says: "Nothing is wrong here.",
    poses: {},
    build: () => [{ op: "fine", suspect: suspect.id }],
    after,
  });
}

export async function checked() {
  const to = state.shown;
  const before = state.overview.checked.filter(([first]) => first <= to).map(([, last]) => last + 1);
  const from = Math.max(0, ...before);
  if (from > to) return toast("This frame is checked already.");
  await propose({
    action: "checked",
    says: `Frames ${state.number(from)} to ${state.number(to)} are checked.`,
    poses: {},
    build: () => [{ op: "checked", from, to }],
  });
}

/** @param {number} number @param {string} [action] */
export async function undo(number, action = `undo ${number}`) {
  await propose({ action, says: `Undo change ${number}.`, poses: {}, build: () => [{ op: "undo", of: number }] });
}

export async function undoLast() {
  const last = state.entries.filter((entry) => entry.op !== "undo" && !entry.undone).sort((a, b) => b.number - a.number)[0];
  if (!last) return toast("There is nothing to undo.");
  await undo(last.number, "undo");
}

/** Undo the last undo, unless something else was changed since. */
export async function redoLast() {
  const kinds = new Map(state.entries.map((entry) => [entry.number, entry.op]));
  const byNumber = [...state.entries].sort((a, b) => b.number - a.number);
  const last = byNumber.find((entry) => entry.op === "undo" && !entry.undone && kinds.get(entry.of ?? -1) !== "undo");
  const newest = byNumber.find((entry) => entry.op !== "undo")?.number ?? Infinity;
  if (!last || newest > last.number) return toast("There is nothing to do again.");
  await undo(last.number, "redo");
}
