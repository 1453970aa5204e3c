/** Where the picture lies on the stage: fitted, at its own size, or magnified; and what a place on it is in video pixels. */

const MOST = 8;
/** Width of the border in which the pointer pushes a picture that is larger than the stage, px. */
const BORDER = 48;
const PUSH = 0.35;

/** @typedef {'fit'|'actual'|'free'} Mode */

export class View {
  /** @type {Mode} */ mode = 'fit';
  #surface;
  #video;
  #canvas;
  /** Size and place of the stage, of the picture on it, CSS px. */
  #stage = { x: 0, y: 0, width: 0, height: 0 };
  #picture = { x: 0, y: 0, width: 0, height: 0 };
  #scale = 1;

  /**
   * @param {HTMLElement} surface
   * @param {HTMLVideoElement} video
   * @param {HTMLCanvasElement} canvas lies on the video
   */
  constructor(surface, video, canvas) {
    this.#surface = surface;
    this.#video = video;
    this.#canvas = canvas;
    new ResizeObserver(() => this.layout()).observe(surface);
    video.addEventListener('resize', () => this.layout());
    video.addEventListener('loadedmetadata', () => this.layout());
  }

  get height() {
    return this.#stage.height;
  }

  /** @param {Mode} mode */
  setMode(mode) {
    this.mode = mode;
    this.layout();
  }

  layout() {
    const box = this.#surface.getBoundingClientRect();
    this.#stage = { x: box.left, y: box.top, width: box.width, height: box.height };
    const { videoWidth, videoHeight } = this.#video;
    if (!videoWidth || !videoHeight) return;
    if (this.mode === 'free' && this.#scale <= this.#fitting) this.mode = 'fit'; // a phone was turned, say
    if (this.mode !== 'free') this.#scale = this.mode === 'fit' ? this.#fitting : 1 / window.devicePixelRatio;
    this.#place(this.#picture.x, this.#picture.y);
  }

  /** @returns {{x: number, y: number}} video pixels, within the picture */
  toVideo(/** @type {number} */ clientX, /** @type {number} */ clientY) {
    const { videoWidth, videoHeight } = this.#video;
    const x = (clientX - this.#stage.x - this.#picture.x) / this.#scale;
    const y = (clientY - this.#stage.y - this.#picture.y) / this.#scale;
    return { x: within(x, Math.max(0, videoWidth - 1)), y: within(y, Math.max(0, videoHeight - 1)) };
  }

  pan(/** @type {number} */ dx, /** @type {number} */ dy) {
    this.#place(this.#picture.x + dx, this.#picture.y + dy);
  }

  /** Magnifies about a place on the stage, which stays where it is. */
  magnify(/** @type {number} */ factor, /** @type {number} */ clientX, /** @type {number} */ clientY) {
    const scale = Math.min(MOST, Math.max(this.#fitting, this.#scale * factor));
    const grown = scale / this.#scale;
    const x = clientX - this.#stage.x;
    const y = clientY - this.#stage.y;
    this.#scale = scale;
    this.mode = scale <= this.#fitting ? 'fit' : 'free';
    this.#place(x - (x - this.#picture.x) * grown, y - (y - this.#picture.y) * grown);
  }

  /**
   * Moves a picture that is larger than the stage under a pointer at its border.
   * @returns {boolean} whether it moved, and would move on
   */
  follow(/** @type {number} */ clientX, /** @type {number} */ clientY) {
    const { x, y } = this.#picture;
    this.pan(
      push(clientX - this.#stage.x, this.#stage.width),
      push(clientY - this.#stage.y, this.#stage.height),
    );
    return x !== this.#picture.x || y !== this.#picture.y;
  }

  get #fitting() {
    const { videoWidth, videoHeight } = this.#video;
    return Math.min(this.#stage.width / videoWidth, this.#stage.height / videoHeight);
  }

  #place(/** @type {number} */ x, /** @type {number} */ y) {
    const width = this.#video.videoWidth * this.#scale;
    const height = this.#video.videoHeight * this.#scale;
    this.#picture = { x: settle(x, width, this.#stage.width), y: settle(y, height, this.#stage.height), width, height };
    for (const { style } of [this.#video, this.#canvas]) {
      style.left = `${this.#picture.x}px`;
      style.top = `${this.#picture.y}px`;
      style.width = `${width}px`;
      style.height = `${height}px`;
    }
  }
}

const within = (/** @type {number} */ value, /** @type {number} */ most) => Math.min(most, Math.max(0, value));

/** In the middle where there is room, else without a gap at either side; whole device pixels stay sharp. */
function settle(/** @type {number} */ place, /** @type {number} */ size, /** @type {number} */ room) {
  const wanted = size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, place));
  return Math.round(wanted * window.devicePixelRatio) / window.devicePixelRatio;
}

function push(/** @type {number} */ place, /** @type {number} */ room) {
  if (place < BORDER) return (BORDER - place) * PUSH;
  if (place > room - BORDER) return (room - BORDER - place) * PUSH;
  return 0;
}
