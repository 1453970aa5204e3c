/** Short messages at the bottom of the page, above dialogs and full screen, read out by screen readers. */

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
  raise(list);
  setTimeout(() => item.remove(), STAY_MS);
}

/** What is shown last is on top of what else has all of the window. @param {HTMLElement} list */
function raise(list) {
  if (!list.showPopover) return; // an older browser: only the page itself shows them
  if (list.matches(':popover-open')) list.hidePopover();
  list.showPopover();
}
