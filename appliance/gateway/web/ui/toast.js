/** Short messages at the bottom of the page, read out by screen readers. */

import { byId, h } from './dom.js';

const STAY_MS = 6000;
const MOST = 3;

export function toast(/** @type {string} */ text) {
  const list = byId('toasts');
  const last = list.lastElementChild;
  if (last?.textContent === text) last.remove();
  while (list.children.length >= MOST) list.firstElementChild?.remove();
  const item = h('p.toast', null, text);
  list.append(item);
  setTimeout(() => item.remove(), STAY_MS);
}
