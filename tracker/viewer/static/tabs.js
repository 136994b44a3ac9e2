/** The three lists at the side: arrows move between the tabs, as ARIA has it. */

/** @param {HTMLElement} tablist @returns {(id: string) => void} shows the panel with an id */
export function bindTabs(tablist) {
  /** @type {HTMLElement[]} */
  const tabs = [...tablist.querySelectorAll("[role=tab]")].map((tab) => /** @type {HTMLElement} */ (tab));
  const panelOf = (/** @type {HTMLElement} */ tab) => document.getElementById(tab.getAttribute("aria-controls") ?? "");
  const show = (/** @type {HTMLElement} */ shown) => {
    for (const tab of tabs) {
      const isShown = tab === shown;
      tab.setAttribute("aria-selected", String(isShown));
      tab.tabIndex = isShown ? 0 : -1;
      const panel = panelOf(tab);
      if (panel) panel.hidden = !isShown;
    }
  };
  for (const tab of tabs) tab.addEventListener("click", () => show(tab));
  tablist.addEventListener("keydown", (event) => {
    const now = tabs.indexOf(/** @type {HTMLElement} */ (event.target));
    const by = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (now < 0 || by === undefined) return;
    const next = tabs[(by + tabs.length) % tabs.length];
    show(next);
    next.focus();
    event.preventDefault();
  });
  return (id) => {
    const tab = tabs.find((each) => each.getAttribute("aria-controls") === id);
    if (tab) show(tab);
  };
}
