/** The clipboard dialog: works in every browser, also where the page may not touch the clipboard by itself. */

import { Clipboard } from '../input/clipboard.js';
import { byId } from './dom.js';
import { toast } from './toast.js';

export class Exchange {
  #dialog = /** @type {HTMLDialogElement} */ (byId('clipboard'));
  #content = /** @type {HTMLTextAreaElement} */ (byId('clipboard-content'));
  #clipboard;

  /** @param {Clipboard} clipboard @param {() => void} onClose @param {AbortSignal} signal */
  constructor(clipboard, onClose, signal) {
    this.#clipboard = clipboard;
    this.#dialog.addEventListener('close', onClose, { signal });
    this.#dialog.addEventListener('click', ({ target }) => {
      const action = /** @type {HTMLElement} */ (target).dataset.do;
      if (action === 'send') this.#send();
      if (action === 'read') this.#read();
      if (action === 'write') this.#write();
    }, { signal });
    signal.addEventListener('abort', () => this.close());
  }

  open() {
    byId('clipboard-text').textContent = Clipboard.available
      ? 'Ctrl+V brings this device’s clipboard along. Or put text here:'
      : 'Over plain HTTP the browser keeps its clipboard from pages. Paste here with Ctrl+V, or copy from here.';
    for (const action of ['read', 'write']) {
      const button = this.#dialog.querySelector(`[data-do="${action}"]`);
      /** @type {HTMLButtonElement} */ (button).hidden = !Clipboard.available;
    }
    this.#content.value = this.#clipboard.text;
    this.#dialog.showModal();
    this.#content.select();
  }

  close() {
    this.#dialog.close();
  }

  #send() {
    if (!this.#clipboard.toBox(this.#content.value)) return;
    this.#clipboard.text = this.#content.value;
    toast('Sent. Paste it there with Ctrl+V.');
    this.#dialog.close();
  }

  async #read() {
    try {
      this.#content.value = await navigator.clipboard.readText();
    } catch {
      toast('The browser did not allow reading. Paste into the field with Ctrl+V.');
      this.#content.select();
    }
  }

  async #write() {
    try {
      await navigator.clipboard.writeText(this.#content.value);
      toast('Copied to this device.');
      this.#dialog.close();
    } catch {
      toast('The browser did not allow that. Copy from the field with Ctrl+C.');
      this.#content.select();
    }
  }
}
