/** A page that says one thing, with what can be done about it. */

import { h, icon } from './dom.js';

/**
 * @param {HTMLElement} root
 * @param {import('./words.js').Words} words
 * @param {{label: string, act: () => void}[]} actions the first one is the best
 */
export function showNotice(root, { title, text }, actions = []) {
  root.replaceChildren(h('main.lone', null,
    h('header.brand.tall', null, icon('mark', 'mark'), h('span.wordmark', null, 'Fanlight')),
    h('section.card.notice', { role: 'alert' },
      h('h1', null, title),
      text ? h('p', null, text) : null,
      actions.length
        ? h('div.actions', null, ...actions.map(({ label, act }, index) =>
          h(index ? 'button' : 'button.primary', { type: 'button', onclick: act }, label)))
        : null)));
}
