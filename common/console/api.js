/* Calls: to whoever served the page, and through a scheduler to its nodes. The token is kept for this
 * tab alone, and sent as a header, never in a URL. */

const TOKEN = 'headwater.token';

export class ApiError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export const session = { kind: null, id: '', version: '', who: '', scope: 'read' };
export const isCluster = () => session.kind === 'scheduler';
const RANK = { read: 0, operate: 1, admin: 2 };
export const may = (scope) => RANK[session.scope] >= RANK[scope];

let onDenied = () => {};
export function whenDenied(handler) { onDenied = handler; }

export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;
export function setToken(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

function headers(more) {
  const token = sessionStorage.getItem(TOKEN);
  return { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...more };
}

async function problemOf(response) {
  try {
    const problem = await response.json();
    return problem.detail ?? problem.title;
  } catch {
    return `HTTP status ${response.status}`;
  }
}

async function call(method, path, body, signal) {
  const changes = method !== 'GET';
  let response;
  try {
    response = await fetch(path, {
      method, signal, cache: 'no-store', credentials: 'omit',
      headers: headers(changes ? { 'Content-Type': 'application/json' } : {}),
      body: changes && method !== 'DELETE' ? JSON.stringify(body ?? {}) : undefined,
    });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new ApiError(0, 'the server does not answer');
  }
  if (response.status === 401) onDenied();
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response.status === 204 ? null : response.json();
}

export const get = (path, signal) => call('GET', path, undefined, signal);
export const post = (path, body) => call('POST', path, body);
export const del = (path) => call('DELETE', path);

/* "app/name" as part of a path. */
export const encodeName = (name) => name.split('/').map(encodeURIComponent).join('/');
/* The base of a node's API, as it is reached from this page. */
export const atNode = (id) => (isCluster() ? `/api/v1/nodes/${encodeURIComponent(id)}/api/v1` : '/api/v1');

/* Pages of a list until there are max items: [items, whether there is more]. */
export async function list(path, max, signal) {
  const items = [];
  let after = null;
  do {
    const sign = path.includes('?') ? '&' : '?';
    const page = await get(`${path}${sign}limit=${Math.min(max, 1000)}${after === null ? '' : `&after=${encodeURIComponent(after)}`}`,
                           signal);
    items.push(...page.items);
    after = page.next;
  } while (after !== null && items.length < max);
  return [items, after !== null];
}

/* Whether a token is needed, so that nothing is asked in vain. */
export async function needsToken() {
  return (await get('/api/v1/console')).token;
}

/* Whose page this is, and what the token may do. */
export async function login() {
  Object.assign(session, await get('/api/v1/console/me'));
}

/* --- server-sent events: EventSource cannot send a token --- */

function readBlock(block, onEvent) {
  let name = 'message';
  const data = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).trim());
  }
  if (data.length) onEvent(name, JSON.parse(data.join('\n')));
}

const SILENT_MS = 40000; // a node says something every 15 s, a scheduler each second

/* Calls back until the connection ends, or is silent for too long. */
export async function events(path, onOpen, onEvent, signal) {
  const stop = new AbortController();
  const abort = () => stop.abort();
  let silence = setTimeout(abort, SILENT_MS);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const response = await fetch(path, { headers: headers(), signal: stop.signal, cache: 'no-store', credentials: 'omit' });
    if (response.status === 401) onDenied();
    if (!response.ok) throw new ApiError(response.status, await problemOf(response));
    onOpen();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (let got = await reader.read(); !got.done; got = await reader.read()) {
      clearTimeout(silence);
      silence = setTimeout(abort, SILENT_MS);
      const blocks = (text + got.value).split('\n\n');
      text = blocks.pop();
      for (const block of blocks) readBlock(block, onEvent);
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', abort);
  }
}
