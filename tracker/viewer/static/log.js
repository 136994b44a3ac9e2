/** The list of corrections, newest first, each with its undo. */

import { byId, capitalised, counted, make } from "./elements.js";
import { state } from "./state.js";

/** @import { Entry } from "./types.js" */

export class Log {
  /** @param {(number: number) => void} onUndo @param {(position: number) => void} onSeek */
  constructor(onUndo, onSeek) {
    this.onUndo = onUndo;
    this.onSeek = onSeek;
    state.on("revision", () => this.draw());
    this.draw();
  }

  draw() {
    const entries = [...state.entries].sort((a, b) => b.number - a.number);
    byId("count-log").textContent = String(entries.length);
    const text = entries.length ? counted(entries.length, "change") + ", newest first" : "Nothing was changed yet";
    const head = make("div", { class: "panel-head" }, make("p", {}, text));
    byId("log").replaceChildren(head, make("ol", { class: "list" }, ...entries.map((entry) => this.#row(entry))));
  }

  /** @param {Entry} entry */
  #row(entry) {
    const at = new Date(entry.at);
    const when = Number.isNaN(at.getTime()) ? entry.at : at.toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
    const words = make("button", { type: "button", class: "entry-text", disabled: entry.position === null }, capitalised(entry.text));
    words.addEventListener("click", () => entry.position !== null && this.onSeek(entry.position));
    const undo = make("button", { type: "button" }, entry.op === "undo" ? "Redo" : "Undo");
    undo.setAttribute("aria-label", `${entry.op === "undo" ? "Redo" : "Undo"} change ${entry.number}`);
    undo.addEventListener("click", () => this.onUndo(entry.number));
    const row = make("li", { class: entry.undone ? "entry undone" : "entry" },
      make("span", { class: "quiet numbers" }, String(entry.number)),
      make("div", {}, words, make("p", { class: "quiet" }, [entry.undone ? "undone" : "", entry.by, when].filter(Boolean).join(" · "))),
      entry.undone || state.run.read_only ? null : undo);
    return row;
  }
}
