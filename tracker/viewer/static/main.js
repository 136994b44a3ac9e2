/** The page of one run: puts its parts together. */

import { exportAddress, getRun, postAssociate } from "./api.js";
import * as changes from "./changes.js";
import { byId, capitalised, clock, counted, toast } from "./elements.js";
import { fillHelp, openHelp } from "./help.js";
import { Joints } from "./joints.js";
import { bindKeys } from "./keyboard.js";
import { KEYS } from "./keys.js";
import { Log } from "./log.js";
import { bindConfirm, confirm, drop, isBusy, overtaken, pickForChange } from "./ops.js";
import { People } from "./people.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { nearestOf, state } from "./state.js";
import { Suspects } from "./suspects.js";
import { bindTabs } from "./tabs.js";
import { bindTheme } from "./theme.js";
import { Timeline } from "./timeline.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
const DIGITS_MS = 800; // digits typed within that time make one number

async function begin() {
  fillHelp();
  state.run = await getRun();
  document.title = `${state.run.name} · posetrail`;
  byId("run-name").textContent = state.run.name;
  await state.refresh();

  const stage = byId("stage");
  const picture = new Picture(stage, byId("picture"), byId("overlay"));
  const joints = new Joints(picture, (text) => line("hint", text));
  const player = new Player(
    state.run,
    byId("videos"),
    (position, source) => {
      state.shown = position;
      state.follow();
      state.poses.prefetch(position);
      picture.take(source);
      state.emit("frame");
    },
    (text) => line("notice", text),
    (isPlaying) => {
      state.playing = isPlaying;
      state.emit("playing");
    },
  );
  const suspects = new Suspects(player);
  const timeline = new Timeline(byId("timeline"), (position) => void player.seek(position), pickTrack);
  const people = new People((id) => void goToTrack(id));
  new Log((number) => void changes.undo(number), (position) => void player.seek(position));
  const showTab = bindTabs(document.querySelector("[role=tablist]") ?? document.body);
  bindTheme(() => redraw());
  bindConfirm();
  bindChrome();
  state.on("frame", showFrame);
  state.on("playing", showPlaying);
  state.on("poses", () => picture.schedule());
  state.on("selection", showSelection);
  state.on("suspect", () => redraw());
  state.on("revision", () => {
    timeline.update();
    showFacts();
    showSelection();
  });
  showFacts();
  showSelection();
  await player.seek(0);
  stage.focus({ preventScroll: true });
  listen();

  function redraw() {
    picture.schedule();
    timeline.schedule();
    people.mark();
  }

  function showFrame() {
    const number = state.number(state.shown);
    if (document.activeElement !== byId("frame")) byId("frame").value = String(number);
    const seconds = state.overview.times_s[state.shown] ?? 0;
    byId("time").textContent = clock(seconds);
    const canvas = byId("timeline");
    canvas.setAttribute("aria-valuemax", String(state.run.num_frames - 1));
    canvas.setAttribute("aria-valuenow", String(state.shown));
    canvas.setAttribute("aria-valuetext", `frame ${number}, ${seconds.toFixed(2)} seconds`);
    timeline.reveal();
  }

  function showPlaying() {
    byId("play").setAttribute("aria-pressed", String(state.playing));
    byId("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
    picture.schedule();
  }

  function showSelection() {
    const id = state.selected?.id;
    const track = id === undefined ? undefined : state.tracks.get(id);
    const words = track
      ? `${state.nameOf(track.id)} · ${state.number(track.first)}–${state.number(track.last)}`
      : "No person selected";
    byId("selected").textContent = capitalised(words);
    byId("spoken").textContent = track ? `Selected: ${state.nameOf(track.id)}.` : "";
    for (const button of document.querySelectorAll("[data-needs=person]")) {
      /** @type {HTMLButtonElement} */ (button).disabled = !track;
    }
    timeline.reveal();
    picture.schedule();
  }

  function showFacts() {
    const { run } = state;
    document.documentElement.dataset.revision = String(state.revision);
    const seconds = state.overview.times_s.at(-1) ?? 0;
    byId("run-facts").textContent = `${counted(run.num_frames, "frame")} · ${clock(seconds).slice(0, -4)} · ${counted(state.tracks.size, "identity", "identities")}`;
    const mode = byId("mode");
    const modes = [run.read_only ? "Read only" : "", run.has_clip ? "" : run.problem || "The clip was not found: poses only"];
    mode.textContent = modes.filter(Boolean).join(" · ");
    mode.hidden = !mode.textContent;
    for (const button of document.querySelectorAll("[data-edits]")) {
      /** @type {HTMLElement} */ (button).hidden = run.read_only;
    }
    byId("stale").hidden = !run.stale || run.read_only;
  }

  /** @param {number} id @param {number} position */
  async function pickTrack(id, position) {
    if (pickForChange(id)) return;
    const pose = await state.poseOf(id, position);
    if (pose) await state.select(...pose);
  }

  /** Select a person, and go where the person is if not in this frame. @param {number} id */
  async function goToTrack(id) {
    if (pickForChange(id)) return;
    const track = state.tracks.get(id);
    if (!track) return;
    const position = nearestOf(track.spans, state.shown);
    await pickTrack(id, position);
    if (position !== state.shown) await player.seek(position);
  }

  function bindChrome() {
    picture.onPick = (position, index) => {
      const id = index < 0 ? null : state.frame()?.ids[index];
      if (id === null || id === undefined) return void (drop() || state.deselect());
      if (!pickForChange(id)) void state.select(position, index);
    };
    for (const button of document.querySelectorAll("[data-action]")) {
      button.addEventListener("click", () => actions[/** @type {HTMLElement} */ (button).dataset.action ?? ""]?.(""));
    }
    // After a click the keys belong to the picture again.
    document.addEventListener("click", (event) => {
      const button = event.detail > 0 && event.target instanceof Element ? event.target.closest("button") : null;
      const hasField = byId("confirm-options").contains(document.activeElement);
      if (button && !button.closest("dialog, header") && !hasField) stage.focus({ preventScroll: true });
    });
    byId("help-open").addEventListener("click", openHelp);
    byId("speed").addEventListener("change", () => player.setSpeed(Number(byId("speed").value)));
    const frame = byId("frame");
    frame.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      if (event.key === "Enter" && /^\d+$/.test(frame.value.trim())) void player.seek(state.positionOf(Number(frame.value)));
      stage.focus({ preventScroll: true });
      frame.value = String(state.number(player.aim));
    });
    byId("associate").addEventListener("click", async () => {
      byId("associate").disabled = true;
      await postAssociate().catch((/** @type {Error} */ error) => toast(error.message));
    });
    const truth = byId("export-truth");
    const addresses = () => {
      for (const link of document.querySelectorAll("[data-format]")) {
        const format = /** @type {HTMLElement} */ (link).dataset.format ?? "";
        link.setAttribute("href", exportAddress(format, truth.checked));
      }
    };
    truth.addEventListener("change", addresses);
    addresses();
  }

  /** What happens elsewhere: other tabs, identities assigned again. */
  function listen() {
    const events = new EventSource("api/events");
    events.onmessage = async (event) => {
      const { revision, stale, associating, error } = JSON.parse(event.data);
      const isAssociating = associating !== null && associating !== undefined;
      const wasAssociating = !byId("associating").hidden;
      byId("associating").hidden = !isAssociating;
      if (isAssociating) byId("associating").value = associating;
      byId("associate").disabled = isAssociating;
      byId("associate").hidden = isAssociating;
      byId("stale-text").textContent = isAssociating
        ? "Assigning identities again …"
        : "Identities were assigned before the latest corrections.";
      if (error) toast(error);
      const hasFinished = wasAssociating && !isAssociating;
      if ((revision > state.revision || hasFinished) && !isBusy()) {
        if (hasFinished) await state.refresh();
        else await overtaken();
      }
      state.run.stale = stale || isAssociating;
      showFacts();
    };
  }

  let digits = "";
  let digitsAt = 0;

  /** Digits typed one after the other make the number of a person. @param {string} digit */
  function typed(digit) {
    const now = performance.now();
    const longer = digits + digit;
    digits = now - digitsAt < DIGITS_MS && state.tracks.has(Number(longer)) ? longer : digit;
    digitsAt = now;
    const id = Number(digits);
    if (state.tracks.has(id)) void pickTrack(id, state.shown);
  }

  /** Select the next person of this frame. @param {number} by @returns {boolean} false: there is none further on */
  function nextPerson(by) {
    const frame = state.frame();
    if (!frame || frame.count === 0) return false;
    const ids = [...frame.ids].sort((a, b) => a - b);
    const now = ids.indexOf(state.selected?.id ?? -1);
    const next = now < 0 ? (by > 0 ? 0 : ids.length - 1) : now + by;
    if (next < 0 || next >= ids.length) return false;
    void state.select(state.shown, frame.ids.indexOf(ids[next]));
    return true;
  }

  /** @param {string} key @param {number} by  Tab leaves the picture after the last person; W begins again */
  function stepPerson(key, by) {
    if (nextPerson(by)) return true;
    const isTab = key.endsWith("Tab");
    state.deselect();
    return isTab ? false : nextPerson(by);
  }

  /** @param {number} by */
  function step(by) {
    void player.seek(state.clamp(player.aim + by));
  }

  /** @param {string} key @param {number} by */
  function nudge(key, by) {
    const name = key.replace("Shift+", "");
    const dx = { Left: -by, Right: by }[name] ?? 0;
    const dy = { Up: -by, Down: by }[name] ?? 0;
    joints.nudge(dx, dy);
  }

  /** @param {keyof typeof state.show} what */
  function toggle(what) {
    state.show[what] = !state.show[what];
    document.querySelector(`[data-toggle=${what}]`)?.setAttribute("aria-pressed", String(state.show[what]));
    picture.schedule();
  }

  /** @param {1 | -1} by */
  function speedUp(by) {
    const now = SPEEDS.indexOf(player.speed);
    player.setSpeed(SPEEDS[Math.min(Math.max(now + by, 0), SPEEDS.length - 1)]);
    byId("speed").value = String(player.speed);
  }

  /** A change is made in a paused picture. @param {() => any} change */
  const paused = (change) => void suspects.settle().then(change).catch((/** @type {Error} */ error) => toast(error.message));

  /** @param {"first" | "last"} end */
  function toEnd(end) {
    const track = state.selected && state.tracks.get(state.selected.id);
    if (track) void player.seek(track[end]);
    else toast("Select a person first: click, or type the number.");
  }

  function zoom() {
    const frame = state.frame();
    const here = state.selectedHere();
    if (picture.view.zoom > 1.01 || !here || !frame) picture.view.reset();
    else picture.view.fit(Array.from(frame.boxes.subarray(4 * here[1], 4 * here[1] + 4)));
    picture.schedule();
  }

  /** @param {number} by */
  function toSuspect(by) {
    drop();
    showTab("suspects");
    if (!suspects.step(by)) toast("No suspect is open.");
  }

  /** @type {Record<string, (key: string) => boolean | void>} */
  const actions = {
    stepBack: () => step(-1),
    stepOn: () => step(1),
    stepBack10: () => step(-10),
    stepOn10: () => step(10),
    stepBack100: () => step(-100),
    stepOn100: () => step(100),
    first: () => void player.seek(0),
    last: () => void player.seek(state.run.num_frames - 1),
    begin: () => toEnd("first"),
    end: () => toEnd("last"),
    goTo: () => byId("frame").select(),
    play: () => (player.isPlaying ? player.pause() : void player.play()),
    slower: () => speedUp(-1),
    faster: () => speedUp(1),
    nextSuspect: () => toSuspect(1),
    previousSuspect: () => toSuspect(-1),
    fine: () => paused(() => changes.fine(() => suspects.step(1))),
    checked: () => paused(changes.checked),
    digit: typed,
    nextPerson: (key) => stepPerson(key, 1),
    previousPerson: (key) => stepPerson(key, -1),
    swap: () => paused(() => changes.swap(false)),
    swapHere: () => paused(() => changes.swap(true)),
    join: () => paused(changes.join),
    split: () => paused(changes.split),
    rename: () => paused(changes.rename),
    remove: () => paused(() => changes.remove("onwards")),
    removeHere: () => paused(() => changes.remove("here")),
    add: () => paused(() => joints.add()),
    joints: () => paused(() => joints.toggle()),
    nextJoint: () => joints.next(1),
    previousJoint: () => joints.next(-1),
    nudge: (key) => nudge(key, 1),
    nudge10: (key) => nudge(key, 10),
    hideJoint: () => paused(() => joints.hide()),
    flip: () => paused(changes.flip),
    zoom,
    hideSkeletons: () => toggle("skeletons"),
    trails: () => toggle("trails"),
    names: () => toggle("names"),
    dim: () => toggle("dim"),
    confirm: () => void confirm(),
    cancel: () => void (drop() || joints.leave() || suspects.close() || state.deselect()),
    undo: () => paused(changes.undoLast),
    redo: () => paused(changes.redoLast),
    help: openHelp,
  };
  if (state.run.read_only) {
    for (const { action } of KEYS.filter((key) => key.edits)) actions[action] = () => toast("This run is open for reading only.");
  }
  bindKeys(actions, () => (joints.isOn ? "joints" : ""), stage);
  document.documentElement.dataset.ready = "true";
}

/** @param {string} id @param {string} text */
function line(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

begin().catch((error) => {
  line("notice", error.message);
  document.documentElement.dataset.ready = "failed";
  if (!(error.status >= 0)) throw error;
});
