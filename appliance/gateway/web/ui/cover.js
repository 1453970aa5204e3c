/** What lies over the stage while there is no moving picture: where we are, why, and what can be done. */

import { byId, h } from './dom.js';

export class Cover {
  #root = byId('cover');

  /**
   * @param {import('./words.js').Words} words
   * @param {object} [options]
   * @param {boolean} [options.busy] something goes on
   * @param {{label: string, act: () => void}[]} [options.actions]
   */
  show({ title, text }, { busy = true, actions = [] } = {}) {
    byId('cover-title').textContent = title;
    byId('cover-text').textContent = text;
    byId('cover-actions').replaceChildren(...actions.map(({ label, act }, index) =>
      h(index ? 'button' : 'button.primary', { type: 'button', onclick: act }, label)));
    this.#root.querySelector('.mark')?.classList.toggle('breathing', busy);
    this.#root.hidden = false;
  }

  hide() {
    this.#root.hidden = true;
  }
}
