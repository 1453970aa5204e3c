/** One signaling WebSocket of the Anbox dialect, version 2: JSON text frames, SDP and candidates in base64. */

const OPEN_TIMEOUT_MS = 8000;

export const encode = (/** @type {string} */ text) => btoa(text);
export const decode = (/** @type {string} */ text) => atob(text);

export class Signaling {
  /** @type {WebSocket} */ #socket;
  /** @type {object[]} */ #received = [];
  /** @type {(() => void)|null} */ #wake = null;

  /** @param {WebSocket} socket an open one */
  constructor(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      try {
        this.#received.push(JSON.parse(data));
      } catch {
        console.warn('signaling: dropped a frame that is not JSON');
      }
      this.#wake?.();
    };
    socket.onclose = () => this.#wake?.();
  }

  /**
   * @param {string} url used as it came
   * @returns {Promise<Signaling>} rejects when the socket does not open
   */
  static open(url) {
    const socket = new WebSocket(url);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
      socket.onopen = () => {
        clearTimeout(timer);
        resolve(new Signaling(socket));
      };
      socket.onclose = () => {
        clearTimeout(timer);
        reject(new Error('The signaling connection was refused.'));
      };
    });
  }

  get isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** @param {{type: string, [field: string]: any}} message */
  send(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  /** Messages in their order, until the socket is closed by either side. */
  async *messages() {
    for (;;) {
      while (this.#received.length) yield /** @type {any} */ (this.#received.shift());
      if (!this.isOpen) return;
      await new Promise((resolve) => { this.#wake = () => resolve(undefined); });
    }
  }

  close() {
    this.#received.length = 0;
    this.#socket.close();
    this.#wake?.();
  }
}
