/** The list of runs: which has open suspects, how much of each is checked. */

import { byId, counted, make } from "./elements.js";
import { bindTheme } from "./theme.js";

/** @typedef {{index: number, name: string, frames: number, people: number, open: number | null, checked_share: number, thumbnail: string | null, problem?: string}} Item */

/** @param {Item} run */
function card(run) {
  const picture = run.thumbnail
    ? make("img", { src: run.thumbnail, alt: "", loading: "lazy" })
    : make("span", { class: "no-thumbnail", "aria-hidden": "true" });
  picture.addEventListener("error", () => picture.replaceWith(make("span", { class: "no-thumbnail" })));
  const percent = Math.round(100 * run.checked_share);
  const open = run.open === null || run.open === undefined ? "suspects not known yet" : run.open ? counted(run.open, "open suspect") : "no open suspects";
  if (run.problem) {
    return make("li", {}, make("div", { class: "card" }, picture, make("strong", {}, run.name), make("span", {}, run.problem)));
  }
  const progress = make("progress", { max: 100, value: percent, "aria-label": `${percent} % checked` });
  return make("li", {}, make("a", { href: `runs/${run.index}/`, class: "card" },
    picture,
    make("strong", {}, run.name),
    make("span", { class: run.open ? "open" : "quiet" }, open),
    make("span", { class: "quiet" }, `${counted(run.frames, "frame")} · ${counted(run.people, "identity", "identities")}`),
    make("span", { class: "quiet checked" }, progress, ` ${percent} % checked`)));
}

async function begin() {
  bindTheme();
  const answer = await fetch("api/queue");
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  /** @type {{runs: Item[]}} */
  const { runs } = await answer.json();
  const sorted = [...runs].sort((a, b) => (b.open ?? 0) - (a.open ?? 0) || a.name.localeCompare(b.name));
  const open = runs.reduce((sum, run) => sum + (run.open ?? 0), 0);
  byId("queue-facts").textContent = `${counted(runs.length, "run")}, ${counted(open, "open suspect")}`;
  byId("queue").replaceChildren(...sorted.map(card));
  byId("queue-empty").hidden = runs.length > 0;
}

begin().catch((error) => {
  byId("queue-empty").textContent = error.message;
  byId("queue-empty").hidden = false;
});
