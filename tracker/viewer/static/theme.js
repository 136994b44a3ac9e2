/** Light or dark: as the system has it until it is chosen here. */

const KEY = "posetrail-theme";

const prefersDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

/** @param {() => void} [onChange] */
export function bindTheme(onChange = () => {}) {
  const root = document.documentElement;
  const chosen = localStorage.getItem(KEY);
  if (chosen) root.dataset.theme = chosen;
  document.getElementById("theme")?.addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : prefersDark();
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem(KEY, root.dataset.theme);
    onChange();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}
