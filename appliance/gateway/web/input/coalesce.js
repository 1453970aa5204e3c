/** Movement as often as the screen is drawn, and no later than it must be. */

/**
 * `mark()` flushes at once, then at most once per animation frame; `now()` flushes what waits, so that what follows
 * stays in order.
 * @param {() => void} flush
 */
export function perFrame(flush) {
  let frame = 0;
  let waiting = false;
  const now = () => {
    if (!waiting) return;
    waiting = false;
    flush();
  };
  const onFrame = () => {
    frame = 0;
    if (!waiting) return;
    frame = requestAnimationFrame(onFrame); // first: what is flushed may mark the next frame
    now();
  };
  return {
    mark() {
      waiting = true;
      if (frame) return;
      frame = requestAnimationFrame(onFrame);
      now();
    },
    now,
  };
}
