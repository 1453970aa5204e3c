/** Where a visit begins: share link, session link, pairing, or the list. */

import * as api from './api.js';
import { byId } from './ui/dom.js';
import { showHome } from './ui/home.js';
import { showNotice } from './ui/notice.js';
import { showPairing } from './ui/pairing.js';
import { Stage } from './ui/stage.js';
import { shareWords } from './ui/words.js';

const RETRY_MS = 3000;
const root = byId('home');

/** @type {Stage|null} */
let stage = null;
let visit = new AbortController();

/** For support, tests and benchmarks, which may look and ask, but not change anything. */
Object.defineProperty(window, 'fanlight', {
  value: Object.freeze({
    get state() { return stage?.session.state ?? 'home'; },
    get reason() { return stage?.session.reason ?? ''; },
    get session() { return stage?.session.id ?? null; },
    get role() { return stage?.session.role ?? null; },
    get peer() { return stage?.session.peerId ?? null; },
    get connections() { return stage?.session.connections ?? 0; },
    get signaled() { return stage?.session.signaled ?? false; },
    get box() { return stage?.session.box ?? null; },
    get frames() { return stage?.frames ?? []; },
    followFrames: (/** @type {boolean} */ on) => stage?.followFrames(on),
    stats: () => stage?.session.stats() ?? Promise.resolve(null),
  }),
});

window.addEventListener('hashchange', () => enter());
window.addEventListener('pageshow', ({ persisted }) => {
  if (persisted) window.location.reload();
});
enter();

/** Goes where the address says. @param {api.Me} [known] who we are, where the box has just told */
async function enter(known) {
  visit.abort();
  visit = new AbortController();
  const { signal } = visit;
  stage?.close();
  stage = null;
  document.title = 'Fanlight';

  const address = new URLSearchParams(window.location.hash.slice(1));
  const share = address.get('share');
  if (share) return redeem(share, signal);
  const me = known ?? await identify(signal);
  if (!me || signal.aborted) return undefined;
  document.title = `${me.box} – Fanlight`;
  if (me.role === null) return showPairing(root, me, () => enter());
  const session = address.get('session');
  if (session) return play(session, me);
  return showHome(root, me, { open: (id) => open(id, me), stranger: () => enter(), forget: () => forget() }, signal);
}

/** Who we are to the box, as soon as it answers. @param {AbortSignal} signal */
async function identify(signal) {
  let shown = '';
  while (!signal.aborted) {
    try {
      return await api.me();
    } catch (error) {
      if (signal.aborted) return null;
      const text = `${/** @type {Error} */ (error).message} Is it on, and on this network? Trying again by itself.`;
      if (text !== shown) {
        showNotice(root, { title: 'The box does not answer', text }, [{ label: 'Try now', act: () => enter() }]);
      }
      shown = text;
      await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
    }
  }
  return null;
}

/** A share link: its token leaves the address bar as soon as it was used. @param {string} share @param {AbortSignal} signal */
async function redeem(share, signal) {
  try {
    const me = await api.guest(share);
    if (signal.aborted) return;
    window.history.replaceState(null, '', me.session ? sessionAddress(me.session) : '#');
    if (me.session) await play(me.session, me);
    else enter();
  } catch (error) {
    if (signal.aborted) return;
    showNotice(root, shareWords(error), [
      { label: 'Try again', act: () => enter() },
      { label: 'Go to the box', act: () => { window.location.hash = ''; } },
    ]);
  }
}

/** @param {string} session @param {api.Me} me */
async function play(session, me) {
  root.replaceChildren();
  document.title = `${me.box} – Fanlight`;
  stage = new Stage(session, () => { window.location.hash = ''; });
  // The picture comes first: what it is called can wait.
  stage.session.addEventListener('picture', () => caption(session, me), { once: true });
  await stage.open(me.box);
}

/** @param {string} session @param {api.Me} me */
async function caption(session, me) {
  const { instances } = await api.instances().catch(() => ({ instances: [] }));
  const instance = instances.find((one) => one.session === session);
  if (!instance || stage?.session.id !== session) return;
  byId('caption').textContent = `${instance.application} · ${me.box}`;
  document.title = `${instance.application} – ${me.box}`;
}

async function forget() {
  await api.leave().catch(() => undefined);
  enter();
}

/** From the list to the stage, without asking again who we are. @param {string} session @param {api.Me} me */
function open(session, me) {
  window.history.pushState(null, '', sessionAddress(session));
  enter(me);
}

const sessionAddress = (/** @type {string} */ session) => `#session=${encodeURIComponent(session)}`;
