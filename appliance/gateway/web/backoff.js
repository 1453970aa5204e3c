/** Waiting between attempts: doubling to a ceiling, with jitter so that a room of viewers does not knock at once. */

const STEPS_MS = [200, 500, 1000, 2000, 4000, 8000];

export class Backoff {
  #step = 0;

  reset() {
    this.#step = 0;
  }

  /** @returns {number} ms until the next attempt */
  next() {
    const base = STEPS_MS[Math.min(this.#step, STEPS_MS.length - 1)];
    this.#step += 1;
    return base * (0.75 + Math.random() / 2);
  }
}

/**
 * Resolves after `ms`, and at once when the network or the page comes back, on `nudge`, or on abort.
 * @param {number} ms
 * @param {AbortSignal} signal
 * @param {EventTarget} nudge fires `hurry`
 * @returns {Promise<void>}
 */
export function pause(ms, signal, nudge) {
  return new Promise((resolve) => {
    const done = new AbortController();
    const finish = () => {
      clearTimeout(timer);
      done.abort();
      resolve();
    };
    const timer = setTimeout(finish, ms);
    if (signal.aborted) finish();
    signal.addEventListener('abort', finish, { signal: done.signal });
    nudge.addEventListener('hurry', finish, { signal: done.signal });
    window.addEventListener('online', finish, { signal: done.signal });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) finish();
    }, { signal: done.signal });
  });
}
