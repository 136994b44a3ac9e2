/** The list of keys, from the table that binds them. */

import { byId, make } from "./elements.js";
import { KEYS } from "./keys.js";

export function fillHelp() {
  const groups = new Map();
  for (const key of KEYS) groups.set(key.group, [...(groups.get(key.group) ?? []), key]);
  const sections = [...groups].map(([group, keys]) => {
    const rows = keys.map((/** @type {import("./keys.js").Key} */ key) =>
      make("div", {}, make("dt", {}, ...key.keys.map((name) => make("kbd", {}, name))), make("dd", {}, key.does)),
    );
    return make("section", {}, make("h3", {}, group), make("dl", {}, ...rows));
  });
  byId("help-keys").replaceChildren(...sections);
}

export function openHelp() {
  byId("help").showModal();
}
