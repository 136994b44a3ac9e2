/** Exact pictures of single frames, the last ones kept. */

import { getStill } from "./api.js";

const MAX_KEPT = 24;

export class Stills {
  constructor() {
    /** @type {Map<string, Promise<ImageBitmap>>} */
    this.kept = new Map();
  }

  /**
   * @param {number} position
   * @param {number} long  pixels of the longer side
   * @returns {Promise<ImageBitmap>}
   */
  get(position, long) {
    const key = `${position} ${long}`;
    let picture = this.kept.get(key);
    this.kept.delete(key);
    if (!picture) {
      picture = getStill(position, long);
      picture.catch(() => this.kept.delete(key));
    }
    this.kept.set(key, picture);
    if (this.kept.size > MAX_KEPT) {
      const [oldest] = this.kept.keys();
      this.kept.delete(oldest);
    }
    return picture;
  }
}
