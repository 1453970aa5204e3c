/** What is said to people when something is not as it should be: what happened, and what helps. */

/** @typedef {{title: string, text: string}} Words */

/** @type {Record<import('../session.js').Ending, (reason: string) => Words>} */
const ENDINGS = {
  left: () => ({ title: 'You have left', text: 'The stream goes on for everybody else.' }),
  over: (reason) => ({ title: 'The stream has ended', text: reason || 'The box ended it.' }),
  unpaired: () => ({
    title: 'Not paired any more',
    text: 'The box no longer knows this browser. Pair it again with a new PIN.',
  }),
  forbidden: (reason) => ({ title: 'Not allowed', text: reason || 'This browser may not see that session.' }),
  gone: () => ({ title: 'That session is gone', text: 'It ended, or the link is an old one.' }),
  'no-decoder': () => ({
    title: 'This browser cannot decode the picture',
    text: 'It offers neither H.264 nor VP8. Another browser, or this one with its media codecs, will do.',
  }),
  'no-webrtc': () => ({
    title: 'This browser has no WebRTC',
    text: 'The picture travels by WebRTC. It may be switched off by a setting or an extension.',
  }),
};

/** @param {import('../session.js').Ending} ending @param {string} reason @returns {Words} */
export const endingWords = (ending, reason) => ENDINGS[ending](reason);

/** @param {import('../session.js').State} state @param {string} reason @returns {Words} */
export function stateWords(state, reason) {
  if (state === 'waiting') return { title: 'Nothing to show yet', text: reason };
  if (state === 'reconnecting') return { title: 'Reconnecting', text: reason };
  return { title: 'Connecting', text: reason };
}

/** @param {unknown} error of pairing @param {number} tries that failed so far @returns {string} */
export function pairingWords(error, tries) {
  const status = /** @type {any} */ (error)?.status;
  if (status === 429) return 'Too many tries. Wait a minute, then show a new PIN on the box.';
  if (status === 0) return 'The box does not answer. Is it on, and on this network?';
  if (status !== 401) return /** @type {any} */ (error)?.message ?? 'That did not work.';
  const count = tries > 1 ? ` (${tries} tries)` : '';
  return `That PIN is wrong or has expired${count}. A PIN works once, for a few minutes.`;
}

/** @param {unknown} error of a share link @returns {Words} */
export function shareWords(error) {
  return /** @type {any} */ (error)?.status === 401
    ? { title: 'This link no longer works', text: 'It has expired or was withdrawn. Ask for a new one.' }
    : { title: 'The link could not be opened', text: /** @type {any} */ (error)?.message ?? '' };
}

/** @type {Record<string, string>} by the names that getUserMedia gives them */
const NO_MICROPHONE = {
  NotAllowedError: 'The browser does not let this page use the microphone. Its settings for this page can allow it.',
  NotFoundError: 'This device has no microphone.',
  NotReadableError: 'The microphone cannot be used: it was taken away, or another program has it.',
  SecurityError: 'The browser has a microphone only for pages whose address begins with https://.',
};

/** Why nobody hears what is said here. @param {unknown} problem of the browser, or what the box says @returns {string} */
export function microphoneWords(problem) {
  if (typeof problem === 'string') return `The box cannot take your microphone: ${problem}.`;
  const { name, message } = /** @type {Error} */ (problem);
  return NO_MICROPHONE[name] ?? `The microphone cannot be used: ${message || name}.`;
}

/** A name for this browser that its owner recognises in a list. */
export function deviceName(userAgent = navigator.userAgent) {
  const device = [
    [/iPhone/, 'iPhone'], [/iPad/, 'iPad'], [/Android.*Mobile/, 'Android phone'], [/Android/, 'Android tablet'],
    [/CrOS/, 'Chromebook'], [/Mac OS X/, 'Mac'], [/Windows/, 'Windows PC'], [/Linux/, 'Linux PC'],
  ].find(([pattern]) => /** @type {RegExp} */ (pattern).test(userAgent))?.[1] ?? 'Browser';
  const browser = [
    [/Edg\//, 'Edge'], [/OPR\//, 'Opera'], [/Firefox\/|FxiOS\//, 'Firefox'], [/Chrome\/|CriOS\//, 'Chrome'],
    [/Safari\//, 'Safari'],
  ].find(([pattern]) => /** @type {RegExp} */ (pattern).test(userAgent))?.[1];
  return browser ? `${browser} on ${device}` : `${device}`;
}
