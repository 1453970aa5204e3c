/** One signaling WebSocket of the Anbox dialect, version 2: JSON text frames, SDP and candidates in base64. */

const OPEN_TIMEOUT_MS = 8000;

export const encode = (/** @type {string} */ text) => btoa(text);
export const decode = (/** @type {string} */ text) => atob(text);

export class Signaling {
  /** Resolves when the socket is open; rejects when it is refused. @type {Promise<void>} */ opened;
  /** @type {WebSocket} */ #socket;
  /** @type {object[]} */ #received = [];
  /** Said before the socket was open. @type {string[]} */ #unsent = [];
  /** @type {(() => void)|null} */ #wake = null;

  /** @param {string} url used as it came */
  constructor(url) {
    const socket = this.#socket = new WebSocket(url);
    socket.onmessage = ({ data }) => {
      try {
        this.#received.push(JSON.parse(data));
      } catch {
        console.warn('signaling: dropped a frame that is not JSON');
      }
      this.#wake?.();
    };
    this.opened = new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
      socket.onopen = () => {
        clearTimeout(timer);
        for (const text of this.#unsent.splice(0)) socket.send(text);
        resolve();
      };
      socket.onclose = () => {
        clearTimeout(timer);
        reject(new Error('The signaling connection was refused.'));
        this.#wake?.();
      };
    });
  }

  get isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Now, or as soon as the socket is open. @param {{type: string, [field: string]: any}} message */
  send(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
    else if (this.#socket.readyState === WebSocket.CONNECTING) this.#unsent.push(JSON.stringify(message));
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
