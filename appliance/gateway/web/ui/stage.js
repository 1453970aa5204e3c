/** The stage: one session on the whole window, with everything that lies around the picture. */

import { Clipboard } from '../input/clipboard.js';
import { attachInput } from '../input/input.js';
import { attachLook } from '../input/look.js';
import { Latency } from '../latency.js';
import { Session } from '../session.js';
import { Cover } from './cover.js';
import { byId } from './dom.js';
import { Exchange } from './exchange.js';
import { toggleFullScreen, togglePointerLock } from './fullscreen.js';
import { Keys } from './keys.js';
import { Microphone } from './microphone.js';
import { Panel } from './panel.js';
import { Picture } from './picture.js';
import { Sound } from './sound.js';
import { toast } from './toast.js';
import { Toolbar } from './toolbar.js';
import { View } from './view.js';
import { endingWords, stateWords } from './words.js';

const stage = byId('stage');
const surface = byId('surface');
const screen = /** @type {HTMLVideoElement} */ (byId('screen'));
/** One for the page: it observes the elements, which stay. */
const view = new View(surface, screen, byId('last-frame'));

/** The last frame is shown undimmed for so long: a short gap is not worth a word. */
const SHORT_GAP_MS = 400;

export class Stage {
  session;
  #life = new AbortController();
  #input = new AbortController();
  #driving = false;
  #cover = new Cover();
  #picture = new Picture(this.#life.signal);
  #panel = new Panel();
  #latency;
  #gap = 0;
  #shown = false;
  #leave;

  /** @param {string} id of the session @param {() => void} leave back to the list */
  constructor(id, leave) {
    const { signal } = this.#life;
    this.#leave = leave;
    this.session = new Session(id);
    const send = (/** @type {string} */ type, /** @type {object} */ data, droppable = false) =>
      this.session.send(type, data, droppable);
    const focus = () => screen.focus({ preventScroll: true });
    this.#latency = new Latency(this.session, screen);
    this.clipboard = new Clipboard({ send, limit: () => this.session.messageLimit, tell: toast });
    this.exchange = new Exchange(this.clipboard, focus, signal);
    this.sound = new Sound(() => this.#showSound(), signal);
    this.microphone = new Microphone({
      speak: (track) => this.session.speak(track),
      tell: toast,
      changed: () => this.#showMicrophone(),
    }, signal);
    this.keys = new Keys(send, (open) => {
      this.toolbar?.set('keyboard', { pressed: open });
      if (!open) focus();
    }, signal);
    this.toolbar = new Toolbar({
      leave,
      size: () => this.#toggleSize(),
      full: () => toggleFullScreen(stage),
      lock: () => togglePointerLock(surface),
      sound: () => this.sound.toggle(),
      microphone: () => this.microphone.toggle(),
      keyboard: () => this.keys.toggle(),
      clipboard: () => this.exchange.open(),
      stats: () => this.#toggleStats(),
    }, focus, signal);
    this.stage = { surface, screen, view, send, clipboard: this.clipboard, tell: toast,
      connections: () => this.session.connections,
      openToolbar: () => this.toolbar.open({ focus: true }) };
    this.#listen(signal);
  }

  /** Plays until left; `caption` names what plays. @param {string} caption */
  open(caption) {
    const over = this.session.run(); // asks its first question while the stage is laid out
    byId('caption').textContent = caption;
    stage.hidden = false;
    view.setMode('fit');
    this.#showMode();
    this.#showSound();
    this.#onState();
    this.toolbar.open();
    screen.focus({ preventScroll: true });
    return over;
  }

  /** Frames that were displayed, each with its times, once `followFrames`. */
  get frames() {
    return this.#latency.timing.frames;
  }

  followFrames(/** @type {boolean} */ on) {
    this.#latency.follow(on);
  }

  close() {
    this.session.leave();
    this.#life.abort();
    this.#input.abort();
    clearTimeout(this.#gap);
    this.#picture.clear();
    this.#latency.follow(false);
    this.#panel.close();
    this.toolbar.close();
    if (document.fullscreenElement) document.exitFullscreen();
    if (document.pointerLockElement) document.exitPointerLock();
    stage.hidden = true;
    delete surface.dataset.role;
  }

  #listen(/** @type {AbortSignal} */ signal) {
    const on = (/** @type {string} */ type, /** @type {(detail: any) => void} */ act) =>
      this.session.addEventListener(type, (event) => act(/** @type {CustomEvent} */ (event).detail), { signal });
    on('state', () => this.#onState());
    on('video', (stream) => this.#picture.play(stream, () => this.session.pictureShown()));
    on('sound', (stream) => this.sound.attach(stream));
    on('role', (role) => this.#onRole(role));
    on('stats', (sample) => {
      this.#latency.look(sample);
      this.#panel.draw(this.session, this.#latency);
    });
    on('box', ({ microphone_problem: problem }) => this.microphone.heed(problem ?? ''));
    on('echo', ({ t, box }) => this.#latency.timing.heedEcho(t, box));
    on('frames', (rows) => this.#latency.timing.heedFrames(rows));
    on('clipboard', (text) => this.clipboard.fromBox(text));
    on('notice', toast);
    on('signaled', () => this.#showLink());
    document.addEventListener('paste', (event) => this.clipboard.onPaste(event), { signal });
    window.addEventListener('blur', () => this.clipboard.away(), { signal });
    document.addEventListener('fullscreenchange', () => {
      const full = Boolean(document.fullscreenElement);
      if (!full) /** @type {any} */ (navigator).keyboard?.unlock?.();
      this.toolbar.set('full', { pressed: full, title: full ? 'Leave full screen' : 'Full screen',
        icon: full ? 'full-exit' : 'full' });
    }, { signal });
    document.addEventListener('pointerlockchange', () =>
      this.toolbar.set('lock', { pressed: document.pointerLockElement === surface }), { signal });
    for (const type of ['beforeunload', 'pagehide']) {
      window.addEventListener(type, () => this.session.send('stream::disconnect', {}), { signal });
    }
  }

  #onState() {
    const { state, reason, ending } = this.session;
    stage.dataset.state = state;
    clearTimeout(this.#gap);
    this.#showLink();
    if (state === 'playing') {
      if (!this.#shown) this.toolbar.open(); // for as long as if the picture had been there at once
      this.#shown = true;
      return this.#cover.hide();
    }
    if (state === 'ended') return ending && ending !== 'left' && this.#onEnd(endingWords(ending, reason), ending);
    this.clipboard.forget();
    if (state === 'reconnecting' || state === 'waiting') this.#picture.freeze();
    const show = () => this.#cover.show(stateWords(state, reason), {
      actions: [{ label: 'Try now', act: () => this.session.hurry() }, { label: 'Back', act: this.#leave }]
        .slice(state === 'reconnecting' ? 0 : 1),
    });
    this.#gap = setTimeout(show, state === 'reconnecting' ? SHORT_GAP_MS : 0);
    return undefined;
  }

  #onEnd(/** @type {import('./words.js').Words} */ words, /** @type {string} */ ending) {
    this.#input.abort();
    this.microphone.off();
    this.#latency.follow(false);
    this.#panel.close();
    this.toolbar.set('stats', { pressed: false });
    if (document.pointerLockElement) document.exitPointerLock();
    const back = { label: ending === 'unpaired' ? 'Pair again' : 'Back', act: this.#leave };
    const again = { label: 'Join again', act: () => window.location.reload() };
    this.#cover.show(words, { busy: false, actions: ending === 'over' ? [back, again] : [back] });
  }

  /** @param {import('../api.js').Role} role */
  #onRole(role) {
    const drives = role !== 'view';
    byId('watching').hidden = drives;
    this.toolbar.allow(drives);
    if (!drives) this.microphone.off('Your microphone is off: you only watch now.');
    if (this.#driving === drives && !this.#input.signal.aborted && surface.dataset.role) return;
    this.#input.abort();
    this.#input = new AbortController();
    this.#driving = drives;
    surface.dataset.role = role;
    if (drives) {
      attachInput(this.stage, this.#input.signal);
    } else {
      this.keys.close();
      this.exchange.close();
      if (document.pointerLockElement) document.exitPointerLock();
      attachLook(surface, view, this.#input.signal);
    }
  }

  #toggleStats() {
    this.toolbar.set('stats', { pressed: this.#panel.toggle() });
    this.#latency.follow(this.#panel.isOpen);
  }

  #toggleSize() {
    view.setMode(view.mode === 'fit' ? 'actual' : 'fit');
    this.#showMode();
  }

  #showMode() {
    const fits = view.mode === 'fit';
    this.toolbar.set('size', { pressed: !fits, title: fits ? 'Actual size' : 'Fit to window', icon: fits ? 'actual' : 'fit' });
  }

  #showSound() {
    const on = this.sound.wanted;
    this.toolbar.set('sound', { pressed: on, title: on ? 'Sound is on' : 'Sound is off', icon: on ? 'sound' : 'sound-off' });
  }

  #showMicrophone() {
    const { state } = this.microphone;
    const title = { on: 'Microphone is on', asking: 'Microphone: waiting for the browser', off: 'Microphone is off' }[state];
    this.toolbar.set('microphone', { pressed: state === 'on', title, icon: state === 'on' ? 'microphone' : 'microphone-off' });
    this.toolbar.speaking(state === 'on');
  }

  #showLink() {
    byId('link-lost').hidden = this.session.state !== 'playing' || this.session.signaled;
  }
}
