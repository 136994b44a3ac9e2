/** The list of doubtful places, worst first, and the one that is open. */

import { compared } from "./compare.js";
import { byId, counted, make } from "./elements.js";
import { state } from "./state.js";

/** @import { Player } from "./player.js" */
/** @import { Suspect } from "./types.js" */

const JOINTS = new Set(["joint", "flip"]); // corrected in other ways than identities, and many more
const KINDS = /** @type {Record<string, string>} */ ({
  link: "Doubtful link",
  birth: "Sudden beginning",
  end: "Sudden end",
  joint: "Joint out of place",
  flip: "Left and right exchanged",
  duplicate: "Two on one person",
  interpolated: "Interpolated stretch",
});
const GROUPS = /** @type {Record<string, (kind: string) => boolean>} */ ({
  Identities: (kind) => !JOINTS.has(kind),
  Joints: (kind) => JOINTS.has(kind),
  All: () => true,
});
const STATES = { open: "open", fine: "nothing wrong", fixed: "repaired" };
const AT_ONCE = 100; // in the list
const BEFORE_S = 1; // a suspect is shown with what came before it
const AFTER_S = 0.4;

export class Suspects {
  /** @param {Player} player */
  constructor(player) {
    this.player = player;
    this.shows = AT_ONCE;
    this.showsAll = false;
    /** @type {string | null} */
    this.chosenGroup = null;
    state.on("revision", () => this.draw());
    this.draw();
  }

  /** The group that is listed: identities as long as some are open, if no other one was chosen. */
  get group() {
    const some = (/** @type {string} */ name) => state.suspects.some((each) => each.state === "open" && GROUPS[name](each.kind));
    return this.chosenGroup ?? (some("Identities") ? "Identities" : some("Joints") ? "Joints" : "All");
  }

  listed() {
    return state.suspects.filter((suspect) => GROUPS[this.group](suspect.kind) || suspect.id === state.suspect?.id);
  }

  open() {
    return this.listed().filter((suspect) => suspect.state === "open");
  }

  /** @param {number} by  1: the next open suspect, -1: the one before */
  step(by) {
    const open = this.open();
    if (!open.length) return false;
    const now = open.findIndex((suspect) => suspect.id === state.suspect?.id);
    // A suspect that is not open any more: go on from its place in the list.
    const listed = this.listed();
    const place = state.suspect ? listed.findIndex((suspect) => suspect.id === state.suspect?.id) : -1;
    const from = now >= 0 || place < 0 ? now : open.filter((each) => listed.indexOf(each) < place).length - (by > 0 ? 1 : 0);
    const next = now < 0 && place < 0 && by < 0 ? open.length - 1 : (from + by + open.length) % open.length;
    void this.choose(open[next]);
    return true;
  }

  /** Show a suspect: the second before it and a moment after, again and again. @param {Suspect} suspect */
  async choose(suspect) {
    state.suspect = suspect;
    const at = frameOf(suspect);
    const id = suspect.people.find((each) => state.tracks.has(each));
    this.draw();
    state.emit("suspect");
    if (id !== undefined) {
      const pose = await state.poseOf(id, at);
      if (pose && state.suspect === suspect) await state.select(...pose);
    }
    if (state.suspect !== suspect) return;
    const first = state.clamp(suspect.position - BEFORE_S * state.run.fps);
    const last = state.clamp(suspect.last + AFTER_S * state.run.fps);
    await this.player.seek(at);
    if (state.suspect === suspect) await this.player.play([first, last]);
  }

  close() {
    if (!state.suspect) return false;
    state.suspect = null;
    this.draw();
    state.emit("suspect");
    return true;
  }

  /** While a suspect is looping, changes are made at its own frame. */
  async settle() {
    if (!this.player.isPlaying) return;
    if (state.suspect && this.player.loop) await this.player.seek(frameOf(state.suspect));
    else await this.player.seek(this.player.position);
  }

  draw() {
    const panel = byId("suspects");
    const open = this.open();
    const listed = this.listed();
    byId("count-suspects").textContent = String(state.suspects.filter((each) => each.state === "open").length);
    const shown = this.showsAll ? listed : listed.filter((s) => s.state === "open" || s.id === state.suspect?.id);
    const all = make("label", { class: "all" }, make("input", { type: "checkbox", checked: this.showsAll }), "Show those that are done");
    all.firstChild.addEventListener("change", () => {
      this.showsAll = all.firstChild.checked;
      this.draw();
    });
    const done = listed.length - open.length;
    const head = make("div", { class: "panel-head" }, this.#groups(),
      make("p", {}, open.length ? `${counted(open.length, "open suspect")}, worst first` : "No open suspects"), done ? all : null);
    const list = make("ol", { class: "list" }, ...shown.slice(0, this.shows).map((suspect) => this.#item(suspect)));
    const more = shown.length > this.shows ? make("button", { type: "button", class: "more" }, "Show more") : null;
    more?.addEventListener("click", () => {
      this.shows += AT_ONCE;
      this.draw();
    });
    const scroll = panel.scrollTop;
    panel.replaceChildren(head, list, ...(more ? [more] : []));
    panel.scrollTop = scroll;
    panel.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  /** Buttons that choose what is listed. */
  #groups() {
    const buttons = Object.keys(GROUPS).map((name) => {
      const open = state.suspects.filter((each) => each.state === "open" && GROUPS[name](each.kind)).length;
      const button = make("button", { type: "button" }, `${name} ${open}`);
      button.setAttribute("aria-pressed", String(name === this.group));
      button.addEventListener("click", () => {
        this.chosenGroup = name;
        this.draw();
      });
      return button;
    });
    return make("div", { class: "groups", role: "group", "aria-label": "Suspects of" }, ...buttons);
  }

  /** @param {Suspect} suspect */
  #item(suspect) {
    const isOpen = suspect.id === state.suspect?.id;
    const frames = suspect.last > suspect.position
      ? `${state.number(suspect.position)}–${state.number(suspect.last)}`
      : String(state.number(suspect.position));
    const percent = Math.round(100 * suspect.doubt);
    const meter = make("span", { class: "doubt", role: "img", "aria-label": `doubt ${percent} of 100`, title: `doubt ${percent} of 100` });
    const filling = make("span");
    filling.style.width = `${percent}%`;
    meter.append(filling);
    const button = make("button", { type: "button", class: "suspect" },
      make("span", { class: "suspect-top" }, make("strong", {}, KINDS[suspect.kind] ?? suspect.kind), make("span", { class: "quiet numbers" }, frames), meter),
      make("span", { class: "reason" }, suspect.reason),
      suspect.state === "open" ? null : make("span", { class: "done" }, STATES[suspect.state] ?? suspect.state));
    if (isOpen) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => void this.choose(suspect));
    const item = make("li", {}, button);
    if (isOpen) item.append(this.#details(suspect));
    return item;
  }

  /** @param {Suspect} suspect */
  #details(suspect) {
    const people = suspect.people.map((id) => state.nameOf(id)).join(" and ");
    const others = suspect.candidates.filter((id) => !suspect.people.includes(id));
    const candidates = others.map((id) => state.nameOf(id)).join(", ");
    const parts = Object.entries(suspect.parts).map(([name, value]) =>
      make("div", {}, make("dt", {}, name.replaceAll("_", " ")), make("dd", { class: "numbers" }, Number(value).toPrecision(2))));
    return make("div", { class: "details" },
      compared(suspect, this.player.stills),
      make("p", {}, people ? `About ${people}.` : "", candidates ? ` Candidates: ${candidates}.` : ""),
      parts.length ? make("details", {}, make("summary", {}, "What the doubt is made of"), make("dl", { class: "parts" }, ...parts)) : null);
  }
}

/** The frame that a suspect is about: for a link the first one after it. @param {Suspect} suspect */
export const frameOf = (suspect) => (suspect.kind === "link" ? suspect.last : suspect.position);
