/** The gateway's calls, same origin, as docs/protocol.md has them. Every failure is an ApiError. */

const TIMEOUT_MS = 8000;

/** @typedef {{box: string, paired: boolean, role: Role|null, label: string, version: string, session: string|null}} Me */
/** @typedef {'view'|'control'|'admin'} Role */
/** @typedef {{session: string, application: string, status: string, message: string, viewers: number,
 *             width: number, height: number, agent: string}} Instance */
/** @typedef {{urls: string[], username: string, password: string}} StunServer */
/** @typedef {{url: string, stun_servers: StunServer[], role: Role}} Invitation */

export class ApiError extends Error {
  /**
   * @param {number} status HTTP status; 0 where no answer came
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

/**
 * @param {'GET'|'POST'} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      cache: 'no-store',
      credentials: 'same-origin',
      headers: body ? { 'Content-Type': 'application/json' } : {},
      body: body ? JSON.stringify(body) : undefined,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError(0, 'The box does not answer.');
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) {
    throw new ApiError(response.status, answer?.error ?? `The box, or what is in between, answers ${response.status}.`);
  }
  if (answer === null) throw new ApiError(502, 'The box gave an answer that is not JSON.');
  return answer;
}

/** @returns {Promise<Me>} */
export const me = () => call('GET', '/fanlight/me');

/** @param {string} pin @param {string} name @returns {Promise<Me>} */
export const pair = (pin, name) => call('POST', '/fanlight/pair', { pin, name });

/** @param {string} share token of a share link @returns {Promise<Me>} */
export const guest = (share) => call('POST', '/fanlight/guest', { share });

export const leave = () => call('POST', '/fanlight/leave', {});

/** @typedef {{instances: Instance[], applications: {name: string}[], cameras?: {name: string, viewers: number}[]}} Everything */

/** @returns {Promise<Everything>} */
export const instances = () => call('GET', '/fanlight/instances');

/** @param {string} application @returns {Promise<{session: string}>} */
export const launch = (application) => call('POST', '/fanlight/launch', { application });

/** @param {string} session @returns {Promise<Invitation>} */
export const watch = (session) => call('POST', `/fanlight/sessions/${encodeURIComponent(session)}/watch`, {});
