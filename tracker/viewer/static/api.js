/** Requests to the server. Addresses are relative to the run's page. */

/** @import { Effect, Entry, FramePoses, Overview, Request, Run, Suspect } from "./types.js" */

/** The server refused: its sentence, the HTTP status and what else it answered. */
export class Refused extends Error {
  /** @param {number} status @param {any} answer */
  constructor(status, answer) {
    super(answer?.error || `The server answered ${status}.`);
    this.status = status;
    this.answer = answer;
  }
}

/** @param {string} path @param {RequestInit} [options] */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    throw new Refused(0, { error: "The server does not answer. Is posetrail view still running?" });
  }
  if (response.ok) return response;
  throw new Refused(response.status, await response.json().catch(() => null));
}

/** @param {string} path */
const get = async (path) => (await ask(path)).json();

/** @param {string} path @param {object} body */
async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await ask(path, { method: "POST", headers, body: JSON.stringify(body) });
  return response.status === 202 || response.status === 204 ? null : response.json();
}

/** @returns {Promise<Run>} */
export const getRun = () => get("api/run");
/** @returns {Promise<Overview>} */
export const getOverview = () => get("api/overview");
/** @returns {Promise<{revision: number, suspects: Suspect[]}>} */
export const getSuspects = () => get("api/suspects");
/** @returns {Promise<{revision: number, entries: Entry[]}>} */
export const getLog = () => get("api/log");
/** @param {number} revision @param {Request} op @returns {Promise<Effect>} */
export const postEffect = (revision, op) => post("api/effect", { revision, op });
/** @param {number} revision @param {Request} op @returns {Promise<Effect & {revision: number}>} */
export const postOp = (revision, op) => post("api/ops", { revision, op });
export const postAssociate = () => post("api/associate", {});

/** @param {string} format @param {boolean} groundTruth */
export const exportAddress = (format, groundTruth) => `api/export/${format}${groundTruth ? "?ground_truth=1" : ""}`;
/** @param {number} piece */
export const previewAddress = (piece) => `preview/${piece}.mp4`;

/** @param {number} position @param {number} long  pixels of the longer side @param {AbortSignal} [signal] */
export async function getStill(position, long, signal) {
  const response = await ask(`still/${position}.jpg?long=${long}`, { signal });
  return createImageBitmap(await response.blob());
}

/**
 * Frames `first` to `first + count` with their people.
 * @param {number} first @param {number} count
 * @returns {Promise<FramePoses[]>}
 */
export async function getPoses(first, count) {
  const response = await ask(`api/poses?first=${first}&count=${count}`);
  return decodePoses(await response.arrayBuffer());
}

/** @param {ArrayBuffer} bytes @returns {FramePoses[]} */
export function decodePoses(bytes) {
  const length = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  /** @type {number[]} */
  const people = head.people;
  const M = people.reduce((sum, each) => sum + each, 0);
  const K = head.joints;
  let offset = Math.ceil((4 + length) / 4) * 4;
  /** @param {number} step */
  const take = (step) => {
    const begin = offset;
    offset += step;
    return begin;
  };
  const ids = new Int32Array(bytes, take(4 * M), M);
  const flags = new Uint32Array(bytes, take(4 * M), M);
  const boxes = new Float32Array(bytes, take(16 * M), 4 * M);
  const keypoints = new Float32Array(bytes, take(8 * M * K), 2 * M * K);
  const scores = new Uint8Array(bytes, take(M * K), M * K);
  let row = 0;
  return people.map((count, k) => {
    const [a, b] = [row, row + count];
    row = b;
    return {
      position: head.first + k,
      count,
      joints: K,
      ids: ids.subarray(a, b),
      flags: flags.subarray(a, b),
      boxes: boxes.subarray(4 * a, 4 * b),
      keypoints: keypoints.subarray(2 * K * a, 2 * K * b),
      scores: scores.subarray(K * a, K * b),
    };
  });
}
