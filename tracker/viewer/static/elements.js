/** Small helpers for building the page. Text is only ever set as text. */

/** @param {string} id @returns {any} the element; it is in the page */
export const byId = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, any>} [properties]  of the element; `class`, `data-*`, `aria-*` and `role` are attributes
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else /** @type {any} */ (element)[name] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** @param {string} text */
export const capitalised = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** With a capital and a full stop. @param {string} text */
export const sentence = (text) => capitalised(text) + (/[.!?…]$/.test(text) ? "" : ".");

/** Minutes, seconds and thousandths. @param {number} seconds */
export function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(3).padStart(6, "0")}`;
}

let toastTimer = 0;

/** Say something for a few seconds. @param {string} text */
export function toast(text) {
  const element = byId("toast");
  element.textContent = text;
  element.hidden = !text;
  clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => (element.hidden = true), 5000);
}
