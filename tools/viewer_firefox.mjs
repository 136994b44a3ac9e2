/**
 * Checks in Firefox that the viewer's page shows the frame that it names.
 *
 *     apt-get install --no-install-recommends firefox-esr libavcodec59   # libavcodec decodes the H.264 of the preview
 *     npm install --prefix /tmp/puppeteer puppeteer-core
 *     uv run node tools/viewer_firefox.mjs /tmp/puppeteer
 *
 * It serves a run whose frames show their numbers (tools/viewer_numbered.py), opens the page in a headless Firefox and
 * compares three numbers: the one painted in the pixels of the picture, the one of the page's state, and the one that the
 * place of the skeleton tells. It does so after 60 jumps and 59 steps on and back, at once (mostly a picture of the
 * preview) and for each jump again after a moment (the exact still); then at every repaint while it plays and after each
 * of five pauses at the speeds 1 and 0.25, and through all pieces to the end. Misses and errors of the console are printed;
 * the exit code is 1 if there are any, or if a part of the check saw no picture of the preview. FIREFOX names another
 * program than /usr/bin/firefox-esr.
 */

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const FRAMES = 60;
const JUMPS = 60;
const PAUSES = 5;
const SPEEDS = ["1", "0.25"];
const WAIT_MS = 30000;
const STILL_MS = 400; // until the exact still has replaced the preview

const pause = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));

/** Runs in the page before its own scripts: `check.read()`, and counts of pictures by what they came from. */
function instrument() {
  const [width, height] = [256, 128]; // of the clip
  const middle = 10 + 30 / 2; // of the person in frame 0, who goes a pixel to the right with every frame
  const byId = (id) => document.getElementById(id);
  const sources = { preview: 0, still: 0 };
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {
    if (source instanceof HTMLVideoElement) sources.preview++;
    else if (!(source instanceof HTMLCanvasElement)) sources.still++;
    return draw.call(this, source, ...rest);
  };

  /** @returns {{state: number, picture: number, skeleton: number}} frames, by three ways to know them */
  function read() {
    const [stage, picture, overlay] = [byId("stage"), byId("picture"), byId("overlay")];
    const ratio = picture.width / stage.getBoundingClientRect().width;
    const [scale, left, top] = stage.dataset.matrix.split(" ").map(Number);
    const context = picture.getContext("2d");
    let number = 0;
    for (let bit = 0; bit < 8; bit++) {
      const x = (((bit % 4) + 0.5) / 4) * width * scale + left;
      const y = (((bit >> 2) + 0.5) / 2) * height * scale + top;
      const { data } = context.getImageData(x * ratio - 3, y * ratio - 3, 6, 6);
      const green = data.filter((_, k) => k % 4 === 1);
      if (green.reduce((sum, value) => sum + value, 0) / green.length > 128) number |= 1 << bit;
    }
    const all = overlay.getContext("2d").getImageData(0, 0, overlay.width, overlay.height);
    let [x1, x2] = [Infinity, -Infinity];
    for (let k = 3; k < all.data.length; k += 4) {
      if (!all.data[k]) continue;
      const column = ((k - 3) / 4) % all.width;
      [x1, x2] = [Math.min(x1, column), Math.max(x2, column + 1)];
    }
    const skeleton = Math.round(((x1 + x2) / 2 / ratio - left) / scale - middle);
    return { state: Number(stage.dataset.frame), picture: number, skeleton };
  }

  /** What is seen at every repaint until the page pauses. */
  function watch() {
    const seen = [];
    const look = () => {
      seen.push(read());
      if (byId("play").getAttribute("aria-pressed") === "true") requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    return seen;
  }
  globalThis.check = { read, watch, sources };
}

/** The address of the run, and a function that ends its server. */
async function serve() {
  const server = spawn("python", ["-m", "tools.viewer_numbered"], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((done) => server.on("close", done));
  for await (const line of createInterface({ input: server.stdout })) {
    if (!line.startsWith("http")) continue;
    const stop = () => {
      server.stdin.end();
      return ended;
    };
    return { address: line, stop };
  }
  throw new Error(`tools.viewer_numbered ended without an address, exit code ${await ended}`);
}

class Check {
  constructor(page) {
    this.page = page;
    this.reads = 0;
    /** @type {string[]} */
    this.misses = [];
  }

  /** @param {string} what @param {{state: number, picture: number, skeleton: number}} seen @param {number} expected */
  compare(what, seen, expected = seen.state) {
    this.reads++;
    const isRight = [seen.state, seen.picture, seen.skeleton].every((number) => number === expected);
    if (!isRight) this.misses.push(`${what}: expected ${expected}, got ${JSON.stringify(seen)}`);
  }

  read() {
    return this.page.evaluate(() => globalThis.check.read());
  }

  /** @param {string} what @param {number} position */
  async settled(what, position) {
    const shows = (wanted) => document.getElementById("stage").dataset.frame === String(wanted);
    const wait = this.page.waitForFunction(shows, { timeout: WAIT_MS, polling: "raf" }, position);
    await wait.catch(() => {}); // a miss below
    this.compare(what, await this.read(), position);
  }

  /** Type a frame into the text field. @param {number} position */
  async jump(position) {
    await this.page.evaluate((value) => {
      const field = document.getElementById("frame");
      field.focus();
      field.value = value;
    }, String(position));
    await this.page.keyboard.press("Enter");
    await this.settled("jump", position);
  }

  async jumps() {
    for (let k = 0; k < JUMPS; k++) {
      const position = Math.floor(Math.random() * FRAMES);
      await this.jump(position);
      await pause(STILL_MS);
      this.compare("still", await this.read(), position);
    }
  }

  async steps() {
    await this.jump(0);
    await this.page.evaluate(() => document.getElementById("stage").focus());
    for (const [key, way] of [["ArrowRight", 1], ["ArrowLeft", -1]]) {
      for (let k = 1; k < FRAMES; k++) {
        await this.page.keyboard.press(key);
        await this.settled(key, way > 0 ? k : FRAMES - 1 - k);
      }
    }
  }

  /** @param {string} speed */
  async pauses(speed) {
    await this.page.select("#speed", speed);
    for (let k = 0; k < PAUSES; k++) {
      await this.jump(Math.floor(Math.random() * 20));
      await pause(STILL_MS);
      await this.page.evaluate(() => document.getElementById("stage").focus());
      await this.page.keyboard.press(" ");
      const seen = await this.page.evaluateHandle(() => globalThis.check.watch());
      await pause(300 + Math.random() * 900);
      await this.page.keyboard.press(" ");
      await pause(20);
      this.compare(`pause at speed ${speed}`, await this.read());
      await pause(STILL_MS);
      this.compare(`still after a pause at speed ${speed}`, await this.read());
      this.played(`playing at speed ${speed}`, await seen.jsonValue());
    }
  }

  /** @param {string} what @param {{state: number, picture: number, skeleton: number}[]} frames */
  played(what, frames) {
    for (const each of frames) this.compare(what, each);
    console.log(`${what}: ${new Set(frames.map((each) => each.state)).size} different frames seen`);
  }

  /** From the first frame through all pieces to the last one. */
  async end() {
    await this.page.select("#speed", "1");
    await this.jump(0);
    await this.page.evaluate(() => document.getElementById("stage").focus());
    await this.page.keyboard.press(" ");
    const seen = await this.page.evaluateHandle(() => globalThis.check.watch());
    const begin = performance.now();
    const isOver = () => document.getElementById("play").getAttribute("aria-pressed") === "false";
    await this.page.waitForFunction(isOver, { timeout: WAIT_MS }).catch(() => this.misses.push("no end of playing"));
    console.log(`played to the end in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
    await pause(STILL_MS);
    this.compare("end", await this.read(), FRAMES - 1);
    this.played("playing to the end", await seen.jsonValue());
  }
}

async function main(folder) {
  const puppeteer = createRequire(resolve(folder, "any.js"))("puppeteer-core");
  const { address, stop } = await serve();
  const program = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
  const browser = await puppeteer.launch({ browser: "firefox", executablePath: program, headless: true });
  try {
    console.log(await browser.version());
    const page = await browser.newPage();
    await page.setViewport({ width: 1200, height: 800 });
    const problems = [];
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.evaluateOnNewDocument(instrument);
    await page.goto(address);
    const wait = { timeout: WAIT_MS };
    await page.waitForFunction(() => document.documentElement.dataset.ready === "true", wait);
    for (const key of ["t", "i"]) await page.keyboard.press(key); // no trails, no labels
    const hasPreview = () => [...document.querySelectorAll("video")].some((video) => video.readyState >= 2);
    await page.waitForFunction(hasPreview, wait).catch(() => problems.push("no preview was loaded"));

    const check = new Check(page);
    const previews = [];
    const parts = { jumps: () => check.jumps(), steps: () => check.steps() };
    for (const speed of SPEEDS) parts[`playing and pauses at speed ${speed}`] = () => check.pauses(speed);
    parts["playing to the end"] = () => check.end();
    for (const [name, part] of Object.entries(parts)) {
      const before = [check.reads, check.misses.length];
      const drawn = await page.evaluate(() => ({ ...globalThis.check.sources }));
      await part();
      const sources = await page.evaluate(() => globalThis.check.sources);
      const [preview, still] = [sources.preview - drawn.preview, sources.still - drawn.still];
      previews.push(preview);
      const misses = `${check.misses.length - before[1]} misses in ${check.reads - before[0]} comparisons`;
      console.log(`${name}: ${misses}; pictures drawn: ${preview} of the preview, ${still} stills`);
    }
    for (const line of [...check.misses, ...problems]) console.log(line);
    return check.misses.length || problems.length || previews.includes(0) ? 1 : 0;
  } finally {
    await browser.close();
    await stop();
  }
}

if (process.argv.length !== 3) {
  console.error("node tools/viewer_firefox.mjs FOLDER: expected the folder in which puppeteer-core is installed");
  process.exit(2);
}
process.exit(await main(process.argv[2]));
