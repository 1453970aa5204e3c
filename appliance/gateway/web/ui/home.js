/** The rooms of the box: what runs, as cards; what could run, as tiles. Kept fresh while it is looked at. */

import * as api from '../api.js';
import { h, icon } from './dom.js';
import { fan } from './fan.js';
import { toast } from './toast.js';

const REFRESH_MS = 3000;

/** @type {Record<string, string>} */
const STATUS = {
  created: 'Starting', active: 'Live', terminating: 'Closing', terminated: 'Ended', error: 'Failed',
};

/**
 * @param {HTMLElement} root
 * @param {import('../api.js').Me} me
 * @param {object} on
 * @param {(session: string) => void} on.open
 * @param {(error: unknown) => void} on.stranger this browser is not known any more
 * @param {() => void} on.forget
 * @param {AbortSignal} signal ends the refreshing
 */
export async function showHome(root, me, on, signal) {
  const cards = h('ul.cards', { 'aria-label': 'Running' });
  const tiles = h('ul.tiles', { 'aria-label': 'Launch' });
  const launcher = h('section', { hidden: true }, h('h2', null, 'Launch'), tiles);
  const status = h('p.offline', { role: 'status', hidden: true });
  root.replaceChildren(
    h('header.top', null,
      h('span.brand', null, icon('mark', 'mark'), h('span.wordmark', null, 'Fanlight')),
      h('span.box', { title: 'This box' }, me.box)),
    h('main.rooms', null, status, h('section', null, h('h2', null, 'Running'), cards), launcher),
    footer(me, on.forget));

  let shown = '';
  while (!signal.aborted) {
    try {
      const answer = await api.instances();
      if (signal.aborted) return;
      status.hidden = true;
      const text = JSON.stringify(answer);
      if (text !== shown) draw(answer);
      shown = text;
    } catch (error) {
      if (/** @type {any} */ (error).status === 401) return on.stranger(error);
      status.textContent = `${/** @type {Error} */ (error).message} Trying again…`;
      status.hidden = false;
    }
    await nextLook(signal);
  }

  function draw(/** @type {api.Everything} */ { instances, applications, cameras = [] }) {
    const focused = /** @type {HTMLElement|null} */ (document.activeElement)?.dataset?.key;
    cards.replaceChildren(...(instances.length ? instances.map((instance) => card(instance, me.box, on.open)) : [nothing(me)]));
    const mayLaunch = me.role !== 'view' && me.session === null;
    launcher.hidden = !mayLaunch || applications.length + cameras.length === 0;
    tiles.replaceChildren(
      ...applications.map(({ name }) => tile(name, on.open)),
      ...cameras.map(({ name, viewers }) => tile(name, on.open, `camera · ${viewerWords(viewers)}`)),
    );
    if (focused) /** @type {HTMLElement|null} */ (root.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus();
  }
}

/** @param {api.Instance} instance @param {string} box this one @param {(session: string) => void} open */
function card(instance, box, open) {
  const { session, application, status, message, viewers, width, height, agent } = instance;
  const live = status === 'active';
  const label = STATUS[status] ?? status;
  const facts = [width && height ? `${width} × ${height}` : '', viewerWords(viewers), agent === box ? '' : agent];
  const button = h('button.card.room', {
    type: 'button', disabled: status === 'terminated' || status === 'terminating', onclick: () => open(session),
    'data-key': `session ${session}`, 'data-session': session,
  },
  fan(live, viewers),
  h('span.room-name', null, application),
  h(`span.status.${live ? 'live' : status}`, null, label),
  h('span.facts', null, facts.filter(Boolean).join(' · ')),
  message ? h('span.message', null, message) : null);
  return h('li', null, button);
}

/** @param {string} name @param {(session: string) => void} open @param {string} [what] */
function tile(name, open, what) {
  const button = h('button.tile', { type: 'button', 'data-key': `launch ${name}`, 'data-application': name },
    icon('plus'), h('span', null, name), what ? h('span.facts', null, what) : null);
  button.onclick = async () => {
    button.disabled = true;
    button.classList.add('busy');
    try {
      open((await api.launch(name)).session);
    } catch (error) {
      toast(`${name} could not be launched. ${/** @type {Error} */ (error).message}`);
      button.disabled = false;
      button.classList.remove('busy');
    }
  };
  return h('li', null, button);
}

function nothing(/** @type {api.Me} */ me) {
  const help = me.role === 'view' || me.session
    ? 'As soon as something runs, it shows up here.'
    : 'Launch something below, or on the box: fanlight launch.';
  return h('li.empty', null, fan(false, 0), h('p', null, 'Nothing runs at the moment.'), h('p.hint', null, help));
}

/** @param {api.Me} me @param {() => void} forget */
function footer(me, forget) {
  const unpair = h('button.quiet', { type: 'button' }, me.paired ? 'Unpair this browser' : 'Leave');
  unpair.onclick = () => {
    if (unpair.dataset.sure) return forget();
    unpair.dataset.sure = 'yes';
    unpair.textContent = 'Really? Press again';
    setTimeout(() => {
      delete unpair.dataset.sure;
      unpair.textContent = me.paired ? 'Unpair this browser' : 'Leave';
    }, 4000);
    return undefined;
  };
  const role = me.role === 'view' ? 'watching' : 'in control';
  return h('footer.bottom', null,
    h('span', null, [me.label, role].filter(Boolean).join(' · ')),
    unpair,
    h('span.version', null, `Fanlight ${me.version}`));
}

function viewerWords(/** @type {number} */ viewers) {
  if (viewers === 0) return 'nobody watching';
  return viewers === 1 ? '1 viewer' : `${viewers} viewers`;
}

/** Resolves after the refresh time, and not before the page is seen again. @param {AbortSignal} signal */
function nextLook(signal) {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', look);
      signal.removeEventListener('abort', look);
      resolve(undefined);
    };
    const timer = setTimeout(look, REFRESH_MS);
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
  });
}
