/** Colours and dash patterns of identities; the colours are those of tracker/io/drawing.py. */

const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
const FIRST_HUE = 0.9;
const SATURATION = [0.6, 0.85, 0.95, 0.6]; // of the left side, the middle, the right side and the outline
const VALUE = [1.0, 0.97, 0.76, 0.16];
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 4], [5, 2, 1, 2, 1, 2]];

/** @type {Map<number, {left: string, middle: string, right: string, dark: string, dash: number[]}>} */
const known = new Map();

/** @param {number} h  0..1 @param {number} s @param {number} v */
function css(h, s, v) {
  /** @param {number} n */
  const channel = (n) => {
    const k = (n + h * 6) % 6;
    return Math.round(255 * (v - v * s * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return `rgb(${channel(5)} ${channel(3)} ${channel(1)})`;
}

/** Colours of the left side, the middle, the right side and the outline of an identity, and its dashes. @param {number} id */
export function lookOf(id) {
  let look = known.get(id);
  if (!look) {
    const hue = (((FIRST_HUE + GOLDEN_RATIO * id) % 1) + 1) % 1;
    const [left, middle, right, dark] = SATURATION.map((s, k) => css(hue, s, VALUE[k]));
    look = { left, middle, right, dark, dash: DASHES[(((id - 1) % DASHES.length) + DASHES.length) % DASHES.length] };
    known.set(id, look);
  }
  return look;
}
