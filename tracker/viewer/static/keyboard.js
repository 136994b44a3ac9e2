/** Binds the table of keys to actions. Keys are off in text fields and open dialogs. */

import { KEYS } from "./keys.js";

const NAMES = /** @type {Record<string, string>} */ ({
  ArrowLeft: "Left",
  ArrowRight: "Right",
  ArrowUp: "Up",
  ArrowDown: "Down",
  Delete: "Del",
  Escape: "Esc",
  " ": "Space",
});

/** The name of a key as the table has it. @param {KeyboardEvent} event */
export function nameOf(event) {
  const isLetter = /^[a-z]$/i.test(event.key);
  const isNamed = event.key.length > 1 || event.key === " ";
  const byThirdLevel = event.getModifierState("AltGraph"); // [ and ] on many keyboards
  const key = isLetter ? event.key.toUpperCase() : (NAMES[event.key] ?? event.key);
  const ctrl = (event.ctrlKey || event.metaKey) && !byThirdLevel ? "Ctrl+" : "";
  const alt = event.altKey && !byThirdLevel ? "Alt+" : "";
  const shift = event.shiftKey && (isLetter || isNamed) ? "Shift+" : "";
  return ctrl + alt + shift + key;
}

/** @param {EventTarget | null} target */
function writes(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button"].includes(target.type);
  return target.isContentEditable || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

/** Whether the focused element itself answers to a key. @param {EventTarget | null} target @param {string} name */
function isTaken(target, name) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("[role=tablist]") && ["Left", "Right", "Home", "End"].includes(name)) return true;
  return ["Enter", "Space"].includes(name) && target.matches("button, a, summary, input, [role=button]");
}

/**
 * @param {Record<string, (key: string) => boolean | void>} actions  false: the browser shall have the key
 * @param {() => string} mode
 * @param {HTMLElement} stage  Tab goes from person to person only while it has the focus
 */
export function bindKeys(actions, mode, stage) {
  const unknown = KEYS.filter((key) => !(key.action in actions));
  if (unknown.length) throw new Error(`no such action: ${unknown.map((key) => key.action)}`);
  const once = new Set(KEYS.filter((key) => key.edits || ["confirm", "play", "help"].includes(key.action)));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const name = nameOf(event);
    if (writes(event.target) || isTaken(event.target, name)) return;
    if (name.endsWith("Tab") && event.target !== stage) return;
    const fitting = KEYS.filter((key) => key.keys.includes(name) && (!key.mode || key.mode === mode()));
    const key = fitting.find((each) => each.mode) ?? fitting[0];
    if (!key) return;
    if (event.repeat && once.has(key)) return event.preventDefault();
    if (actions[key.action](name) !== false) event.preventDefault();
  });
}
