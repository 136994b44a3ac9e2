/** The list of identities: number, name, frames, mean score. */

import { lookOf } from "./colours.js";
import { byId, counted, make } from "./elements.js";
import { state } from "./state.js";

/** @import { Track } from "./types.js" */

const SVG = "http://www.w3.org/2000/svg";
const AT_ONCE = 200;

/** A short line in the colour and the dashes of an identity. @param {number} id */
function swatch(id) {
  const look = lookOf(id);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 28 12");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("aria-hidden", "true");
  const back = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ width: "28", height: "12", rx: "3", fill: look.middle })) back.setAttribute(name, value);
  const line = document.createElementNS(SVG, "line");
  const shape = { x1: "2", x2: "26", y1: "6", y2: "6", stroke: look.dark, "stroke-width": "3", "stroke-dasharray": look.dash.join(" ") };
  for (const [name, value] of Object.entries(shape)) line.setAttribute(name, value);
  svg.append(back, line);
  return svg;
}

export class People {
  /** @param {(id: number) => void} onPick */
  constructor(onPick) {
    this.onPick = onPick;
    this.shows = AT_ONCE;
    state.on("revision", () => this.draw());
    state.on("selection", () => this.mark());
    this.draw();
  }

  draw() {
    const tracks = [...state.overview.tracks].sort(
      (a, b) => Number(!a.name) - Number(!b.name) || a.name.localeCompare(b.name) || a.id - b.id,
    );
    byId("count-people").textContent = String(tracks.length);
    const rows = tracks.slice(0, this.shows).map((track) => this.#row(track));
    const more = tracks.length > this.shows ? make("button", { type: "button", class: "more" }, "Show more") : null;
    more?.addEventListener("click", () => {
      this.shows += AT_ONCE;
      this.draw();
    });
    const head = make("div", { class: "panel-head" }, make("p", {}, counted(tracks.length, "identity", "identities")));
    byId("people").replaceChildren(head, make("ul", { class: "list" }, ...rows), ...(more ? [more] : []));
    this.mark();
  }

  /** @param {Track} track */
  #row(track) {
    const frames = `${state.number(track.first)}–${state.number(track.last)}`;
    const button = make("button", { type: "button", class: "track", "data-id": String(track.id) },
      swatch(track.id),
      make("span", { class: "track-number numbers" }, String(track.id)),
      make("span", { class: "track-name" }, track.name || "unnamed"),
      make("span", { class: "quiet numbers" }, `frames ${frames} · ${counted(track.poses, "pose")} · score ${track.mean_score.toFixed(2)}`));
    if (!track.name) button.classList.add("unnamed");
    button.addEventListener("click", () => this.onPick(track.id));
    return make("li", {}, button);
  }

  mark() {
    for (const button of byId("people").querySelectorAll("[data-id]")) {
      const isSelected = Number(button.dataset.id) === state.selected?.id;
      if (isSelected) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }
}
