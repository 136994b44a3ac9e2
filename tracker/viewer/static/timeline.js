/**
 * The timeline: a row for each identity, gaps left open, marks of suspects and edits, checked stretches.
 *
 * Only what is visible is drawn, found by bisection, so that its cost does not grow with the clip.
 */

import { lookOf } from "./colours.js";
import { state } from "./state.js";

/** @import { Suspect, Track } from "./types.js" */

const RULER_PX = 26;
const ROW_PX = 22;
const BAR_PX = 10;
const GUTTER_PX = 112;
const CLICK_PX = 4;
const MIN_FRAMES = 20; // in view
const FONT = "12px system-ui, sans-serif";

export class Timeline {
  /** @param {HTMLCanvasElement} canvas @param {(position: number) => void} onSeek @param {(id: number, position: number) => void} onPick */
  constructor(canvas, onSeek, onPick) {
    this.canvas = canvas;
    this.c = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.onSeek = onSeek;
    this.onPick = onPick;
    this.first = 0; // position at the left end of the rows
    this.frames = state.run.num_frames; // in view
    this.scroll = 0; // CSS pixels
    /** @type {Track[]} */
    this.rows = [];
    /** @type {Map<number, number>} */
    this.rowOf = new Map();
    /** @type {Suspect[]} by position */
    this.suspects = [];
    this.isScheduled = false;
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.#listen();
    this.update();
    this.resize();
  }

  /** After a change of tracks: named people first, then by where they begin. */
  update() {
    this.rows = [...state.overview.tracks].sort(
      (a, b) => Number(!a.name) - Number(!b.name) || a.name.localeCompare(b.name) || a.first - b.first || a.id - b.id,
    );
    this.rowOf = new Map(this.rows.map((track, row) => [track.id, row]));
    this.suspects = state.suspects.filter((suspect) => suspect.state === "open").sort((a, b) => a.position - b.position);
    this.canvas.style.setProperty("--rows", String(Math.max(this.rows.length, 3)));
    this.schedule();
  }

  resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.size = [width, height];
    this.canvas.width = Math.max(Math.round(width * ratio), 1);
    this.canvas.height = Math.max(Math.round(height * ratio), 1);
    this.ratio = ratio;
    this.draw();
  }

  schedule() {
    if (this.isScheduled) return;
    this.isScheduled = true;
    requestAnimationFrame(() => {
      this.isScheduled = false;
      this.draw();
    });
  }

  /** @type {number[]} CSS pixels */
  size = [1, 1];
  ratio = 1;

  get pitch() {
    return Math.max(this.size[0] - GUTTER_PX - 8, 1) / this.frames;
  }

  /** Left end of a frame. @param {number} position */
  x(position) {
    return GUTTER_PX + (position - this.first) * this.pitch;
  }

  /** @param {number} x */
  positionAt(x) {
    return state.clamp(Math.floor(this.first + (x - GUTTER_PX) / this.pitch));
  }

  /** Keep the frame and the selected row in view. */
  reveal() {
    const position = state.shown;
    if (position < this.first || position > this.first + this.frames) {
      this.first = position - this.frames / 4;
      this.#keepInside();
    }
    const visible = this.size[1] - RULER_PX;
    const row = this.rowOf.get(state.selected?.id ?? -1) ?? this.#rowInView(position, visible);
    if (row !== undefined) {
      if (row * ROW_PX < this.scroll) this.scroll = row * ROW_PX;
      if ((row + 1) * ROW_PX > this.scroll + visible) this.scroll = (row + 1) * ROW_PX - visible;
    }
    this.schedule();
  }

  /** The first row in view at a frame, if none of those that are visible is. @param {number} position @param {number} visible */
  #rowInView(position, visible) {
    const isThere = (/** @type {Track} */ track) => track.first <= position && position <= track.last;
    const [first, last] = [Math.ceil(this.scroll / ROW_PX), Math.floor((this.scroll + visible) / ROW_PX)];
    if (this.rows.length <= last - first || this.rows.slice(first, last).some(isThere)) return undefined;
    const row = this.rows.findIndex(isThere);
    return row < 0 ? undefined : row;
  }

  #keepInside() {
    const total = state.run.num_frames;
    this.frames = Math.min(Math.max(this.frames, Math.min(MIN_FRAMES, total)), total);
    this.first = Math.min(Math.max(this.first, 0), total - this.frames);
    const rows = this.rows.length * ROW_PX - (this.size[1] - RULER_PX);
    this.scroll = Math.min(Math.max(this.scroll, 0), Math.max(rows, 0));
  }

  draw() {
    if (!state.overview) return;
    const { c } = this;
    const style = getComputedStyle(this.canvas);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`);
    const paint = {
      ink: colour("ink"), quiet: colour("quiet"), line: colour("line"), accent: colour("accent"),
      panel: colour("panel"), checked: colour("checked"), row: colour("selected"),
    };
    const [width, height] = this.size;
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.fillStyle = paint.panel;
    c.fillRect(0, 0, width, height);
    this.#drawChecked(paint);
    c.save();
    c.beginPath();
    c.rect(0, RULER_PX, width, height - RULER_PX);
    c.clip();
    const firstRow = Math.floor(this.scroll / ROW_PX);
    const lastRow = Math.min(this.rows.length, Math.ceil((this.scroll + height - RULER_PX) / ROW_PX));
    for (let row = firstRow; row < lastRow; row++) this.#drawRow(row, paint);
    this.#drawMarks(firstRow, lastRow, paint);
    c.restore();
    this.#drawRuler(paint);
    this.#drawHead(paint);
  }

  /** @typedef {Record<string, string>} Paint */

  /** @param {Paint} paint */
  #drawChecked(paint) {
    const { c } = this;
    c.fillStyle = paint.checked;
    for (const [first, last] of state.overview.checked) {
      const [a, b] = [Math.max(this.x(first), GUTTER_PX), Math.min(this.x(last + 1), this.size[0])];
      if (b > a) c.fillRect(a, 0, b - a, this.size[1]);
    }
  }

  /** @param {number} row */
  #top(row) {
    return RULER_PX + row * ROW_PX - this.scroll;
  }

  /** @param {number} row @param {Paint} paint */
  #drawRow(row, paint) {
    const { c } = this;
    const track = this.rows[row];
    const top = this.#top(row);
    const isSelected = track.id === state.selected?.id;
    const look = lookOf(track.id);
    if (isSelected) {
      c.fillStyle = paint.row;
      c.fillRect(0, top, this.size[0], ROW_PX);
    }
    c.fillStyle = paint.line;
    c.fillRect(GUTTER_PX, top + ROW_PX / 2, this.size[0], 1);
    const end = this.first + this.frames;
    const bar = top + (ROW_PX - BAR_PX) / 2;
    /** @param {[number, number][]} spans @param {(left: number, width: number) => void} fill */
    const each = (spans, fill) => {
      let done = -Infinity; // spans that fall into the same pixel are drawn once
      for (let k = firstAfter(spans, this.first); k < spans.length && spans[k][0] <= end; k++) {
        const left = Math.max(this.x(spans[k][0]), GUTTER_PX, done);
        const right = Math.min(this.x(spans[k][1] + 1), this.size[0]);
        if (right - left < 0.3) continue;
        fill(left, Math.max(right - left, 1));
        done = right;
      }
    };
    each(track.spans, (left, width) => {
      c.fillStyle = look.middle;
      c.beginPath();
      c.roundRect(left, bar, width, BAR_PX, Math.min(3, width / 2));
      c.fill();
      c.strokeStyle = look.dark;
      c.globalAlpha = 0.7;
      c.lineWidth = 2;
      c.lineCap = "butt";
      c.setLineDash(look.dash);
      c.beginPath();
      c.moveTo(left, bar + BAR_PX / 2);
      c.lineTo(left + width, bar + BAR_PX / 2);
      if (look.dash.length) c.stroke();
      c.setLineDash([]);
      c.globalAlpha = 1;
    });
    each(track.interpolated, (left, width) => {
      c.fillStyle = paint.panel;
      c.fillRect(left, bar + 2, width, BAR_PX - 4);
    });
    c.font = (isSelected ? "600 " : "") + FONT;
    c.textBaseline = "middle";
    c.textAlign = "right";
    c.fillStyle = paint.ink;
    c.fillText(String(track.id), 34, top + ROW_PX / 2 + 0.5);
    c.textAlign = "left";
    if (track.name) c.fillText(shortened(c, track.name, GUTTER_PX - 50), 42, top + ROW_PX / 2 + 0.5);
    else {
      c.strokeStyle = paint.quiet;
      c.lineWidth = 2;
      c.setLineDash(look.dash);
      c.beginPath();
      c.moveTo(42, top + ROW_PX / 2);
      c.lineTo(GUTTER_PX - 14, top + ROW_PX / 2);
      c.stroke();
      c.setLineDash([]);
    }
  }

  /** Ticks of suspects and dots of edits on their rows. @param {number} firstRow @param {number} lastRow @param {Paint} paint */
  #drawMarks(firstRow, lastRow, paint) {
    const { c } = this;
    const end = this.first + this.frames;
    const suspects = this.suspects;
    const positions = (/** @type {number} */ k) => suspects[k].position;
    let drawn = "";
    for (let k = bisect(suspects.length, positions, this.first); k < suspects.length && positions(k) <= end; k++) {
      const row = this.rowOf.get(suspects[k].people[0] ?? -1);
      if (row === undefined || row < firstRow || row >= lastRow) continue;
      const x = Math.round(this.x(suspects[k].position + 0.5));
      if (x < GUTTER_PX || `${x} ${row}` === drawn) continue;
      drawn = `${x} ${row}`;
      const isOpen = suspects[k].id === state.suspect?.id;
      c.fillStyle = isOpen ? paint.accent : paint.ink;
      c.fillRect(x - (isOpen ? 2 : 1), this.#top(row) + 2, isOpen ? 4 : 2, ROW_PX - 4);
    }
    for (const edit of state.overview.edits) {
      const row = this.rowOf.get(edit.track ?? -1);
      if (row === undefined || row < firstRow || row >= lastRow || edit.position < this.first || edit.position > end) continue;
      c.beginPath();
      c.arc(this.x(edit.position + 0.5), this.#top(row) + ROW_PX / 2, 4, 0, 2 * Math.PI);
      c.fillStyle = paint.panel;
      c.fill();
      c.strokeStyle = paint.ink;
      c.lineWidth = 2;
      c.stroke();
    }
  }

  /** Numbers of frames, and where suspects are in all of the clip. @param {Paint} paint */
  #drawRuler(paint) {
    const { c } = this;
    c.fillStyle = paint.line;
    c.fillRect(0, RULER_PX - 1, this.size[0], 1);
    c.font = FONT;
    c.textBaseline = "middle";
    c.textAlign = "right";
    c.fillStyle = paint.quiet;
    c.fillText("Frame", GUTTER_PX - 14, RULER_PX / 2);
    c.textAlign = "left";
    const step = niceStep(this.frames / (this.size[0] / 90));
    const end = Math.min(this.first + this.frames, state.run.num_frames - 1);
    for (let position = Math.ceil(this.first / step) * step; position <= end; position += step) {
      const x = Math.round(this.x(position + 0.5));
      c.fillStyle = paint.quiet;
      c.fillRect(x, RULER_PX - 7, 1, 6);
      const text = String(state.number(position));
      if (x + 4 + c.measureText(text).width < this.size[0]) c.fillText(text, x + 4, RULER_PX / 2);
    }
  }

  /** @param {Paint} paint */
  #drawHead(paint) {
    const { c } = this;
    const x = this.x(state.shown + 0.5);
    if (x < GUTTER_PX || x > this.size[0]) return;
    c.fillStyle = paint.accent;
    c.fillRect(x - 1, 0, 2, this.size[1]);
    c.beginPath();
    c.moveTo(x - 6, 0);
    c.lineTo(x + 6, 0);
    c.lineTo(x, 9);
    c.fill();
  }

  #listen() {
    const { canvas } = this;
    const at = (/** @type {MouseEvent} */ event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [x] = at(event);
      const isPan = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (isPan) {
        this.first += (event.deltaX || event.deltaY) / this.pitch;
      } else {
        const under = this.first + (x - GUTTER_PX) / this.pitch;
        this.frames *= Math.exp(event.deltaY * (event.deltaMode ? 0.05 : 0.0015));
        this.#keepInside();
        this.first = under - (x - GUTTER_PX) / this.pitch;
      }
      this.#keepInside();
      this.schedule();
    }, { passive: false });
    /** @type {{x: number, y: number, mode: "press" | "pan" | "scrub"} | null} */
    let pointer = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const [x, y] = at(event);
      pointer = { x, y, mode: y < RULER_PX ? "scrub" : "press" };
      canvas.setPointerCapture(event.pointerId);
      if (pointer.mode === "scrub") this.onSeek(this.positionAt(x));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!pointer) return;
      const [x, y] = at(event);
      if (pointer.mode === "scrub") return this.onSeek(this.positionAt(x));
      if (pointer.mode === "press" && Math.hypot(x - pointer.x, y - pointer.y) < CLICK_PX) return;
      this.first -= (x - pointer.x) / this.pitch;
      this.scroll -= y - pointer.y;
      pointer = { x, y, mode: "pan" };
      this.#keepInside();
      this.schedule();
    });
    canvas.addEventListener("pointerup", () => {
      if (pointer?.mode === "press") this.#click(pointer.x, pointer.y);
      pointer = null;
    });
    canvas.addEventListener("pointercancel", () => (pointer = null));
  }

  /** @param {number} x @param {number} y */
  #click(x, y) {
    const row = Math.floor((y - RULER_PX + this.scroll) / ROW_PX);
    const track = this.rows[row];
    if (x < GUTTER_PX) {
      if (track) this.onPick(track.id, state.shown);
      return;
    }
    const position = this.positionAt(x);
    if (track) this.onPick(track.id, position);
    this.onSeek(position);
  }
}

/** Index of the first of sorted values that is not below one. @param {number} length @param {(k: number) => number} value @param {number} least */
function bisect(length, value, least) {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value(middle) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the first span that reaches a position. @param {[number, number][]} spans @param {number} position */
const firstAfter = (spans, position) => bisect(spans.length, (k) => spans[k][1], position);

/** @param {number} step */
function niceStep(step) {
  const power = 10 ** Math.floor(Math.log10(Math.max(step, 1)));
  const nice = [1, 2, 5, 10].find((factor) => factor * power >= step) ?? 10;
  return Math.max(nice * power, 1);
}

/** @param {CanvasRenderingContext2D} c @param {string} text @param {number} width */
function shortened(c, text, width) {
  if (c.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && c.measureText(`${text.slice(0, length)}…`).width > width) length--;
  return `${text.slice(0, length)}…`;
}
