/** Phones pause what plays when they are locked, or called; here nobody ever means that. */

/**
 * @param {HTMLMediaElement} element plays streams
 * @param {() => void} play
 * @param {AbortSignal} signal
 */
export function resume(element, play, signal) {
  const look = () => {
    const stream = /** @type {MediaStream|null} */ (element.srcObject);
    if (stream?.active && element.paused && !document.hidden) play();
  };
  element.addEventListener('pause', look, { signal });
  document.addEventListener('visibilitychange', look, { signal });
}
