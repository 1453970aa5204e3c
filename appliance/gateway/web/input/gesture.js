/** What two fingers do together: how far their middle moved, how much they spread. */

const DECIDE_PX = 14;

export class Gesture {
  /** @type {Map<number, {x: number, y: number}>} */ #fingers = new Map();
  #travel = 0;
  #spread = 0;

  get fingers() {
    return this.#fingers.size;
  }

  get centre() {
    const all = [...this.#fingers.values()];
    return {
      x: all.reduce((sum, { x }) => sum + x, 0) / all.length,
      y: all.reduce((sum, { y }) => sum + y, 0) / all.length,
    };
  }

  /** @param {PointerEvent} event */
  down({ pointerId, clientX, clientY }) {
    this.#fingers.set(pointerId, { x: clientX, y: clientY });
    this.#travel = 0;
    this.#spread = 0;
  }

  /**
   * @param {PointerEvent} event
   * @returns {{dx: number, dy: number, scale: number}|null} movement of the middle, and of the distance
   */
  move({ pointerId, clientX, clientY }) {
    if (!this.#fingers.has(pointerId)) return null;
    const before = { ...this.centre, distance: this.#distance() };
    this.#fingers.set(pointerId, { x: clientX, y: clientY });
    const dx = this.centre.x - before.x;
    const dy = this.centre.y - before.y;
    const distance = this.#distance();
    this.#travel += Math.hypot(dx, dy);
    this.#spread += distance - before.distance;
    return { dx, dy, scale: before.distance > 0 ? distance / before.distance : 1 };
  }

  /** @param {PointerEvent} event */
  up({ pointerId }) {
    this.#fingers.delete(pointerId);
  }

  clear() {
    this.#fingers.clear();
  }

  /** @returns {'wheel'|'pinch'|null} null while it is too early to tell */
  kind() {
    if (Math.abs(this.#spread) > 2 * DECIDE_PX) return 'pinch';
    return this.#travel > DECIDE_PX && Math.abs(this.#spread) < this.#travel ? 'wheel' : null;
  }

  #distance() {
    const [a, b] = [...this.#fingers.values()];
    return a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }
}
