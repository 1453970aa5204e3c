/** Text between this device's clipboard and the box's. */

/** docs/protocol.md */
const LIMIT_BYTES = 256 * 1024;
/** A `paste` event comes within the same key press, or not at all. */
const PASTE_MS = 100;

export class Clipboard {
  /** The box's clipboard as last heard of. */ text = '';
  /** @type {string|null} What it was told by itself, and so has still. */ #fromBox = null;
  /** @type {string|null} */ #unwritten = null;
  /** @type {(() => void)|null} */ #key = null;
  #timer = 0;

  /**
   * @param {object} host
   * @param {(type: string, data: object) => boolean} host.send
   * @param {() => number} host.limit bytes of one message
   * @param {(text: string) => void} host.tell something to show
   */
  constructor({ send, limit, tell }) {
    this.send = send;
    this.limit = limit;
    this.tell = tell;
  }

  /** Whether this page may use the device's clipboard by itself. */
  static get available() {
    return window.isSecureContext && Boolean(navigator.clipboard);
  }

  /** The box's clipboard changed. @param {string} text */
  async fromBox(text) {
    this.text = this.#fromBox = text;
    this.#unwritten = text;
    await this.gesture();
  }

  /** Another streamer may have another clipboard. */
  forget() {
    this.#fromBox = null;
  }

  /** The person goes elsewhere, and may copy something there that is newer. */
  away() {
    this.#unwritten = null;
  }

  /** The person just did something, which is when browsers allow writing. */
  async gesture() {
    const text = this.#unwritten;
    if (text === null || !Clipboard.available || !document.hasFocus()) return;
    this.#unwritten = null;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      this.#unwritten ??= text;
    }
  }

  /** @param {string} text @returns {boolean} whether it went */
  toBox(text) {
    if (!text) return false;
    const bytes = new TextEncoder().encode(JSON.stringify({ type: 'fanlight::clipboard', data: { text } })).length;
    const limit = Math.min(LIMIT_BYTES, this.limit());
    if (bytes > limit) {
      this.tell(`That text is too long to send: ${Math.ceil(bytes / 1024)} KiB, ${Math.floor(limit / 1024)} at most.`);
      return false;
    }
    this.#fromBox = null;
    const sent = this.send('fanlight::clipboard', { text });
    if (!sent) this.tell('There is no connection to the box at the moment: the text was not sent.');
    return sent;
  }

  /** The paste key is down: `key` follows the text that the coming `paste` event brings. @param {() => void} key */
  beforePaste(key) {
    this.settle();
    this.#key = key;
    this.#timer = setTimeout(() => this.settle(), PASTE_MS);
  }

  /** @param {ClipboardEvent} event */
  onPaste(event) {
    if (!this.#key) return;
    event.preventDefault();
    // Windows ends lines with two characters, and a terminal takes each for an end.
    const text = (event.clipboardData?.getData('text/plain') ?? '').replaceAll('\r\n', '\n');
    if (text && text !== this.#fromBox) {
      if (!this.toBox(text)) this.#key = null; // it would paste something else
      else this.text = text;
    }
    this.settle();
  }

  /** Sends the paste key that still waits, if any. */
  settle() {
    const key = this.#key;
    this.dropKey();
    key?.();
  }

  /** The paste key is not pressed any more. */
  dropKey() {
    clearTimeout(this.#timer);
    this.#key = null;
  }
}
