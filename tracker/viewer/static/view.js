/** Where the picture stands on the canvas: one matrix from pixels of the clip to CSS pixels of the stage. */

const MAX_ZOOM = 40;

export class View {
  /** @param {number} width @param {number} height  of the clip, in pixels */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.zoom = 1; // 1: the whole picture
    this.centre = [width / 2, height / 2]; // the pixel of the clip in the middle of the stage
    this.stage = [1, 1]; // CSS pixels
  }

  get scale() {
    return this.zoom * Math.min(this.stage[0] / this.width, this.stage[1] / this.height);
  }

  get left() {
    return this.stage[0] / 2 - this.centre[0] * this.scale;
  }

  get top() {
    return this.stage[1] / 2 - this.centre[1] * this.scale;
  }

  /** @param {number} x @param {number} y  pixels of the clip */
  toStage(x, y) {
    return [x * this.scale + this.left, y * this.scale + this.top];
  }

  /** @param {number} x @param {number} y  CSS pixels of the stage */
  toClip(x, y) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scale];
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    this.stage = [Math.max(width, 1), Math.max(height, 1)];
    this.#keepInside();
  }

  /** Zoom by a factor, keeping what is under a point of the stage. @param {number} factor @param {number} x @param {number} y */
  zoomAt(factor, x, y) {
    const [before_x, before_y] = this.toClip(x, y);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), MAX_ZOOM);
    const [after_x, after_y] = this.toClip(x, y);
    this.centre = [this.centre[0] + before_x - after_x, this.centre[1] + before_y - after_y];
    this.#keepInside();
  }

  /** @param {number} dx @param {number} dy  CSS pixels */
  pan(dx, dy) {
    this.centre = [this.centre[0] - dx / this.scale, this.centre[1] - dy / this.scale];
    this.#keepInside();
  }

  /** Show a box with room around it. @param {number[]} box  x1 y1 x2 y2 @param {number} [room]  times the box's size */
  fit(box, room = 1.6) {
    const size = [room * Math.max(box[2] - box[0], 8), room * Math.max(box[3] - box[1], 8)];
    const whole = Math.min(this.stage[0] / this.width, this.stage[1] / this.height);
    this.zoom = Math.min(Math.max(Math.min(this.stage[0] / size[0], this.stage[1] / size[1]) / whole, 1), MAX_ZOOM);
    this.centre = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    this.#keepInside();
  }

  reset() {
    this.zoom = 1;
    this.centre = [this.width / 2, this.height / 2];
  }

  /** The picture fills the stage where it is large enough, and stands in the middle where not. */
  #keepInside() {
    const size = [this.width, this.height];
    this.centre = this.centre.map((value, axis) => {
      const half = this.stage[axis] / this.scale / 2;
      return half * 2 >= size[axis] ? size[axis] / 2 : Math.min(Math.max(value, half), size[axis] - half);
    });
  }
}
