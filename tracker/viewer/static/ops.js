/**
 * Changes: each is described by the server first and made when it is confirmed.
 *
 * While a change waits, its poses are remembered with their boxes, so that it can be described again when another tab
 * was faster: nothing that was entered is lost.
 */

import { Refused, postEffect, postOp } from "./api.js";
import { byId, make, sentence, toast } from "./elements.js";
import { boxOf, nearestBox } from "./poses.js";
import { state } from "./state.js";

/** @import { PoseRef, Request } from "./types.js" */
/** @import { Selected } from "./state.js" */

/**
 * @typedef {object} Option  what can still be chosen in the bar
 * @property {string} name
 * @property {string} label
 * @property {string} value
 * @property {[string, string][]} [choices]  value and text; without choices it is a text field
 *
 * @typedef {object} Change
 * @property {string} action  the same key again confirms
 * @property {string} says  what it is, until the server has described it
 * @property {Record<string, PoseRef>} poses
 * @property {Option[]} [options]
 * @property {(poses: Record<string, PoseRef>, values: Record<string, string>) => Request[] | Promise<Request[]>} build
 * @property {(id: number) => string | null} [pick]  the option's value for a person that is clicked: it becomes `with`
 * @property {() => void} [after]
 * @property {() => void} [dropped]
 * @property {boolean} [again]  proposing it again changes it, rather than confirms it
 */

/** @type {(Change & {anchors: Record<string, Selected>, values: Record<string, string>}) | null} */
let pending = null;
let round = 0; // answers that describe an older form of the change are not shown
let isPosting = false;
let isDescribed = false;

export const pendingAction = () => pending?.action ?? "";
export const isBusy = () => isPosting;

/** Describe a change and wait for Enter. @param {Change} change */
export async function propose(change) {
  if (pending?.action === change.action && !change.again) return confirm();
  if (pending && pending.action !== change.action) drop();
  /** @type {Record<string, Selected>} */
  const anchors = {};
  for (const [name, [position, index]] of Object.entries(change.poses)) {
    const frame = await state.poses.load(position);
    anchors[name] = { position, index, id: frame.ids[index], box: boxOf(frame, index) };
  }
  const values = Object.fromEntries((change.options ?? []).map((option) => [option.name, option.value]));
  pending = { ...change, anchors, values };
  const text = byId("confirm-text");
  text.textContent = change.says;
  text.classList.remove("refused");
  byId("confirm-notice").hidden = true;
  byId("confirm-options").replaceChildren(...(change.options ?? []).map(control));
  byId("confirm").hidden = false;
  state.emit("pending");
  const field = byId("confirm-options").querySelector("input");
  if (field) field.select();
  await describe();
}

/** @param {Option} option */
function control(option) {
  const id = `option-${option.name}`;
  const choices = option.choices?.map(([value, text]) => make("option", { value, selected: value === option.value }, text));
  const field = choices
    ? make("select", { id, "aria-label": option.label || option.name }, ...choices)
    : make("input", { id, type: "text", value: option.value, size: 12, autocomplete: "off", maxLength: 60 });
  field.addEventListener(choices ? "change" : "input", () => {
    if (!pending) return;
    pending.values[option.name] = field.value;
    void describe();
  });
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter") void confirm();
    else if (event.key === "Escape") drop();
    else return;
    event.preventDefault();
    byId("stage").focus();
  });
  return make("label", { for: id }, option.label, field);
}

/** Set what a waiting change is made with, by a click on a person. @param {number} id @returns {boolean} */
export function pickForChange(id) {
  const value = pending?.pick?.(id) ?? null;
  if (!pending || value === null) return false;
  pending.values.with = value;
  const field = byId("option-with");
  if (field && ![...field.options].some((option) => option.value === value)) {
    field.append(make("option", { value }, state.nameOf(id)));
  }
  if (field) field.value = value;
  void describe();
  return true;
}

/** @param {NonNullable<typeof pending>} change */
function requests(change) {
  const poses = Object.entries(change.anchors).map(([name, { position, index }]) => [name, [position, index]]);
  return change.build(Object.fromEntries(poses), change.values);
}

async function describe() {
  if (!pending) return;
  const change = pending;
  const mine = ++round;
  isDescribed = false;
  const text = byId("confirm-text");
  try {
    const effects = [];
    for (const request of await requests(change)) effects.push(await postEffect(state.revision, request));
    if (mine !== round || change !== pending) return;
    text.textContent = effects.map((effect) => sentence(effect.text)).join(" ");
    text.classList.remove("refused");
    isDescribed = true;
  } catch (error) {
    if (mine !== round || change !== pending) return;
    if (isOutOfDate(error)) return overtaken();
    text.textContent = sentence(/** @type {Error} */ (error).message);
    text.classList.add("refused");
  }
  byId("confirm-do").disabled = !isDescribed;
}

/** Make the change that waits. */
export async function confirm() {
  if (!pending || isPosting) return;
  const change = pending;
  const wish = round;
  isPosting = true;
  try {
    if (!isDescribed) return; // it is still being described, or was refused
    let revision = state.revision;
    let said = "";
    for (const request of await requests(change)) {
      const answer = await postOp(revision, request);
      revision = answer.revision;
      said = answer.text;
    }
    if (wish === round) close();
    await state.refresh(revision);
    toast(sentence(said));
    change.after?.();
  } catch (error) {
    if (isOutOfDate(error)) return overtaken();
    byId("confirm-text").textContent = sentence(/** @type {Error} */ (error).message);
    byId("confirm-text").classList.add("refused");
    await state.refresh().catch(() => {});
  } finally {
    isPosting = false;
  }
}

/** Whether a refusal is about the revision; during an association the revision is the current one. @param {unknown} error */
const isOutOfDate = (error) => error instanceof Refused && error.status === 409 && error.answer?.revision !== state.revision;

/** Another tab made a change first: show it, and describe the waiting change again on top of it. */
export async function overtaken() {
  const before = new Set(state.entries.map((entry) => entry.number));
  await state.refresh();
  const news = state.entries.filter((entry) => !before.has(entry.number)).map((entry) => sentence(entry.text));
  const said = news.length ? news.join(" ") : "The identities were assigned again.";
  if (!pending) return toast(`Changed in another window: ${said}`);
  for (const [name, anchor] of Object.entries(pending.anchors)) {
    const frame = await state.poses.load(anchor.position);
    const index = nearestBox(frame, anchor.box);
    if (index >= 0) pending.anchors[name] = { ...anchor, index, id: frame.ids[index] };
  }
  const notice = byId("confirm-notice");
  notice.textContent = `Changed in another window: ${said} Your change is not made yet.`;
  notice.hidden = false;
  await describe();
}

function close() {
  pending = null;
  round++;
  isDescribed = false;
  byId("confirm").hidden = true;
  if (byId("confirm").contains(document.activeElement)) byId("stage").focus();
  state.emit("pending");
}

/** Cancel what waits. @returns {boolean} whether there was something */
export function drop() {
  if (!pending) return false;
  const dropped = pending.dropped;
  close();
  dropped?.();
  return true;
}

export function bindConfirm() {
  byId("confirm-do").addEventListener("click", () => void confirm());
  byId("confirm-cancel").addEventListener("click", drop);
}
