/* The shell: login, navigation, keys. A view is {title, start(root, path): {stop}}, which keeps root up to date. */
import { hasToken, isCluster, login, needsToken, session, setToken, whenDenied } from './api.js';
import { h, patch } from './dom.js';
import { start, state, watch } from './state.js';
import { button, icon, showDialog } from './ui.js';
import { nodeView, nodesView } from './view_nodes.js';
import { overviewView } from './view_overview.js';
import { recordsView, relaysView } from './view_relays.js';
import { sessionsView, traceView } from './view_sessions.js';
import { streamView } from './view_stream.js';
import { streamsView } from './view_streams.js';

const NAV = [
  { path: '', name: 'Overview', glyph: 'overview', key: 'o', view: overviewView },
  { path: 'streams', name: 'Streams', glyph: 'streams', key: 's', view: streamsView, inner: streamView },
  { path: 'nodes', name: 'Nodes', glyph: 'nodes', key: 'n', view: nodesView, inner: nodeView },
  { path: 'sessions', name: 'Sessions', glyph: 'sessions', key: 'e', view: sessionsView, inner: traceView },
  { path: 'relays', name: 'Pull & push', glyph: 'relays', key: 'p', view: relaysView },
  { path: 'records', name: 'Records', glyph: 'records', key: 'r', view: recordsView },
];

const KEYS = [['g then o, s, n, e, p, r', 'go to overview, streams, nodes, sessions, pull & push, records'],
              ['/', 'search'], ['↓ ↑ or j k', 'next, previous row of a table'], ['Enter', 'open'], ['Esc', 'close a dialog'],
              ['t', 'dark or light'], ['?', 'this list']];

const app = document.getElementById('app');
let running = null; // the view that is shown
let stopState = null;

/* --- theme --- */

const isDark = () => (document.documentElement.dataset.theme
  ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';

function switchTheme() {
  const theme = isDark() ? 'light' : 'dark';
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('headwater.theme', theme);
  drawShell();
}

/* --- login --- */

function stopAll() {
  running?.stop();
  running = null;
  stopState?.();
  stopState = null;
}

function showLogin(text = '') {
  stopAll();
  const problem = h('p', { class: 'problem', role: 'alert' }, text);
  const input = h('input', { type: 'password', name: 'token', id: 'token', required: true, autocomplete: 'current-password' });
  const onsubmit = async (event) => {
    event.preventDefault();
    problem.textContent = '';
    setToken(input.value.trim());
    if (!(await enter())) {
      setToken(null);
      problem.textContent = 'That token is not known here.';
      input.select();
    }
  };
  app.className = 'login';
  app.replaceChildren(h('main', { id: 'content', class: 'login-card' }, h('div', { class: 'brand' }, h('img', { src: '/console/logo.svg', alt: '', width: 40, height: 40 }), 'Headwater'),
    h('form', { onsubmit }, h('label', { for: 'token' }, h('span', null, 'API token'), input),
      problem, h('button', { type: 'submit', class: 'button primary' }, 'Log in')),
    h('p', { class: 'hint' }, 'A token of admin.tokens_file, or the node token. It is kept in this tab until you close it.')));
  input.focus();
}

function logOut() {
  setToken(null);
  showLogin();
}

/* False: the token is wrong, or there is none and one is needed. */
async function enter() {
  try {
    if (!hasToken() && await needsToken()) return false;
    await login();
  } catch (e) {
    if (e.status === 401 || e.status === 429) return false;
    showLogin(e.message);
    return true;
  }
  stopAll();
  stopState = start();
  app.className = 'shell';
  app.replaceChildren();
  drawShell();
  go();
  return true;
}

/* --- shell --- */

const here = () => location.hash.replace(/^#\/?/, '').split('/').map((part) => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
});

function navLink(item) {
  const isHere = here()[0] === item.path;
  return h('a', { href: `#/${item.path}`, class: isHere ? 'here' : null, 'aria-current': isHere ? 'page' : null, 'data-key': item.path || 'overview' },
           icon(item.glyph), h('span', null, item.name));
}

function drawShell() {
  if (app.className !== 'shell') return;
  if (!app.firstChild) app.append(h('nav', { id: 'nav', 'aria-label': 'Main' }), h('header', { id: 'top' }), h('main', { id: 'content', tabindex: '-1', 'data-keep': true }));
  const [nav, top] = app.children;
  patch(nav, [h('div', { class: 'brand' }, h('img', { src: '/console/logo.svg', alt: '', width: 28, height: 28 }), h('span', null, 'Headwater')),
              h('div', { class: 'links' }, NAV.map(navLink)),
              h('p', { class: 'version' }, `Headwater ${session.version}`)]);
  const item = NAV.find((one) => one.path === here()[0]);
  patch(top, [h('h1', null, item?.name ?? 'Headwater', !isCluster() && session.id && h('small', null, session.id)),
              h('div', { class: 'row' },
                h('span', { class: `chip live ${state.live ? 'good' : 'bad'}`, title: state.live ? 'Changes are pushed to this page' : 'The connection is lost; trying again' },
                  h('i', { class: 'dot' }), h('span', { class: 'wide-only' }, state.live ? 'Live' : 'Offline')),
                h('span', { class: 'chip who wide-only', title: 'Who you are here, and what you may do' }, `${session.who} · ${session.scope}`),
                button('', showKeys, { glyph: 'keys', title: 'Keys (?)', kind: 'ghost wide-only' }),
                button('', switchTheme, { glyph: isDark() ? 'sun' : 'moon', title: 'Dark or light (t)', kind: 'ghost' }),
                hasToken() && button('', logOut, { glyph: 'logout', title: 'Log out', kind: 'ghost' }))]);
  document.title = `${item?.name ?? 'Console'} · Headwater`;
}

function go() {
  if (app.className !== 'shell') return;
  const path = here();
  const item = NAV.find((one) => one.path === path[0]) ?? NAV[0];
  const view = path.length > 1 && item.inner ? item.inner : item.view;
  running?.stop();
  const root = h('div', { class: 'view' });
  document.getElementById('content').replaceChildren(root);
  document.getElementById('content').scrollTop = 0;
  drawShell();
  running = view(root, path.slice(1));
}

/* --- keys --- */

function showKeys() {
  showDialog('Keys', h('dl', { class: 'facts keys' }, KEYS.map(([keys, what]) => [h('dt', null, h('kbd', null, keys)), h('dd', null, what)])));
}

let afterG = false;

document.addEventListener('keydown', (event) => {
  if (app.className !== 'shell' || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest('input, select, textarea, dialog')) return;
  const item = NAV.find((one) => one.key === event.key);
  if (afterG && item) location.hash = `#/${item.path}`;
  else if (event.key === '/') {
    const search = document.querySelector('input[type=search]');
    if (search) search.focus();
    else location.hash = '#/streams';
    event.preventDefault();
  } else if (event.key === '?') showKeys();
  else if (event.key === 't' && !afterG) switchTheme();
  afterG = event.key === 'g';
});

window.addEventListener('hashchange', go);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawShell);
whenDenied(() => {
  if (app.className === 'shell') showLogin('The token is not known any more.');
});
watch((topic) => {
  if (topic === 'live' || (topic === 'nodes' && !isCluster())) drawShell();
});

if (!(await enter())) {
  setToken(null);
  showLogin();
}
performance.mark('interactive');
