/* Sessions of a node: who publishes and who watches; and the way of a stream to one of them. */
import { atNode, del, get, isCluster, may } from './api.js';
import { h, keep, patch } from './dom.js';
import { bytes, count, duration, lag } from './format.js';
import { repeat, state } from './state.js';
import { attempt, button, card, confirm, empty, facts, table } from './ui.js';
import { streamHref } from './view_streams.js';

const PAGE = 50;
const REFRESH_MS = 3000;

const traceHref = (x) => `#/sessions/${encodeURIComponent(x.node || 'here')}/${encodeURIComponent(x.id)}`;

async function kick(x) {
  const yes = await confirm({ title: 'Kick this session?', verb: 'Kick', text: `${x.kind} over ${x.protocol} from ${x.peer} is disconnected. Who comes back is let in: ban the address to keep it out.` });
  if (yes) attempt('Kicked', () => del(`${atNode(x.node)}/sessions/${encodeURIComponent(x.id)}`));
}

const COLUMNS = [
  { key: 'peer', title: 'Client', cell: (x) => h('a', { href: traceHref(x), class: 'strong', title: 'The way of the stream to it' }, x.peer || x.id) },
  { key: 'kind', title: 'Kind', cell: (x) => `${x.kind}` },
  { key: 'protocol', title: 'Protocol', cell: (x) => x.protocol },
  { key: 'stream', title: 'Stream', cell: (x) => (x.stream ? h('a', { href: streamHref(x.stream) }, x.stream) : '–') },
  { key: 'node', title: 'Node', cell: (x) => x.node },
  { key: 'age', title: 'For', class: 'number', cell: (x) => duration(x.age_ms) },
  { key: 'bytes', title: 'Bytes', class: 'number', cell: (x) => bytes(x.kind === 'publish' || x.kind === 'pull' ? x.bytes_in : x.bytes_out) },
  { key: 'lag', title: 'Waits', class: 'number', cell: (x) => (x.kind === 'publish' ? '–' : lag(x.lag_ms * 1000)) },
  { key: 'dropped', title: 'Left out', class: 'number', cell: (x) => (x.dropped ? count(x.dropped) : '–') },
  { key: 'act', title: '', class: 'actions', cell: (x) => may('operate') && button('Kick', () => kick(x), { kind: 'danger small', key: `kick ${x.id}` }) },
];

export function sessionTable(items, { withStream = true, withNode = true } = {}) {
  return table({ columns: COLUMNS.filter((c) => (withStream || c.key !== 'stream') && (withNode || c.key !== 'node')), items,
                 keyOf: (x) => `${x.node} ${x.id}`, label: 'Sessions', none: empty('No sessions') });
}

function select(name, value, options, onchange) {
  return h('select', { 'aria-label': name, 'data-key': `${name} ${options.length}`, onchange: (e) => onchange(e.target.value) },
           options.map(([v, text]) => h('option', { value: v, selected: v === value }, text)));
}

const askedNode = () => new URLSearchParams(location.hash.split('?')[1] ?? '').get('node');

export function sessionsView(root) {
  let node = askedNode(), kind = '', protocol = '', stream = '', client = '';
  let items = [], next = null, pages = [''], known = false, problem = null;
  const text = (hint, set) => h('input', { type: 'text', placeholder: hint, 'aria-label': hint, spellcheck: 'false', oninput: (e) => { set(e.target.value.trim()); again(); } });
  const streamInput = h('input', { type: 'search', placeholder: 'Stream: app/name', 'aria-label': 'Stream', spellcheck: 'false', oninput: (e) => { stream = e.target.value.trim(); again(); } });
  const clientInput = text('Client: 10.0.0.0/8', (value) => { client = value; });

  const again = () => { pages = ['']; life.soon(200); };
  const path = () => {
    const args = Object.entries({ kind, protocol, stream, client, after: pages.at(-1) }).filter(([, v]) => v);
    return `${atNode(node)}/sessions?${new URLSearchParams([['limit', PAGE], ...args])}`;
  };

  /* Without a word of the operator's, the one with the most viewers. */
  function chooseNode() {
    const nodes = [...state.nodes.values()].filter((n) => n.admin);
    if (!nodes.some((n) => n.id === node)) node = nodes.sort((a, b) => b.load.viewers - a.load.viewers || b.load.publishers - a.load.publishers)[0]?.id ?? null;
    return nodes.map((n) => n.id).sort();
  }

  function draw() {
    const ids = chooseNode();
    patch(root, [
      h('div', { class: 'toolbar' },
        isCluster() && select('Node', node, ids.map((id) => [id, `${id} (${count(state.nodes.get(id).load.viewers)})`]), (v) => { node = v; again(); }),
        select('Kind', kind, [['', 'All kinds'], ['play', 'play'], ['publish', 'publish'], ['push', 'push']], (v) => { kind = v; again(); }),
        select('Protocol', protocol, ['', 'rtmp', 'flv', 'ts', 'mp4', 'hls', 'relay'].map((p) => [p, p || 'All protocols']), (v) => { protocol = v; again(); }),
        keep('stream', streamInput), keep('client', clientInput)),
      problem && h('p', { class: 'problem' }, problem),
      h('section', { class: 'card flush' }, known ? sessionTable(items, { withNode: false }) : empty(node || !isCluster() ? 'Loading…' : 'No node says where its admin port is', node ? null : 'cluster.advertise.admin'),
        (pages.length > 1 || next) && h('nav', { class: 'pager', 'aria-label': 'Pages' },
          button('', () => { pages.pop(); life.soon(0); }, { glyph: 'back', title: 'Page before', kind: 'ghost', disabled: pages.length < 2 }), h('span', null, `Page ${pages.length}`),
          button('', () => { pages.push(next); life.soon(0); }, { glyph: 'next', title: 'Next page', kind: 'ghost', disabled: !next }))),
    ]);
  }

  async function load(signal) {
    chooseNode();
    try {
      if (!isCluster() || node) {
        const page = await get(path(), signal);
        items = page.items.map((x) => ({ ...x, node: isCluster() ? node : '' }));
        next = page.next;
        known = true;
      }
      problem = null;
    } catch (e) {
      if (e.name === 'AbortError') return;
      problem = e.message;
    }
    draw();
  }

  draw();
  const life = repeat(load, () => REFRESH_MS, isCluster() && !state.nodes.size ? 800 : 0);
  return { stop: life.stop };
}

/* --- one session, hop by hop --- */

export function traceView(root, [node, id]) {
  const at = node === 'here' ? '' : node;
  let trace = null, problem = null;

  function draw() {
    const hops = trace ? [...trace.hops].reverse() : [];
    patch(root, [
      h('div', { class: 'page-head' }, h('div', null, h('a', { href: '#/sessions', class: 'crumb' }, 'Sessions'), h('h2', null, trace?.peer || id)),
        h('div', { class: 'row' }, may('operate') && trace && button('Kick', () => kick({ ...trace, id, node: at }), { kind: 'danger' }))),
      problem && card('', empty(problem)),
      trace && card('Session', facts([['Session', h('code', null, trace.session)], ['Stream', h('a', { href: streamHref(trace.stream) }, trace.stream)], ['Kind', `${trace.kind} over ${trace.protocol}`],
                                      ['Node', trace.node], ['Waits to be sent', lag(trace.viewer_lag_us)]])),
      trace && card('The way of the stream', h('ol', { class: 'way' },
        h('li', null, h('b', null, 'Encoder'), h('span', { class: 'muted' }, trace.encoder?.run ? `run ${trace.encoder.run}` : '')),
        hops.map((hop, i) => h('li', { 'data-key': hop.node }, h('b', null, h('a', { href: `#/nodes/${encodeURIComponent(hop.node)}` }, hop.node)),
          h('span', { class: 'muted' }, i === 0 ? 'takes it in' : `lag ${lag(hop.lag_us)} ± ${lag(hop.uncertainty_us)}`),
          h('span', { class: 'muted' }, `newest frame ${lag(hop.age_us)} ago`))),
        h('li', null, h('b', null, trace.kind === 'publish' ? 'this publisher' : 'this viewer'), h('span', { class: 'muted' }, trace.peer)))),
    ]);
  }

  async function load(signal) {
    try {
      trace = await get(`/api/v1/trace?session=${encodeURIComponent(id)}${at ? `&node=${encodeURIComponent(at)}` : ''}`, signal);
      problem = null;
    } catch (e) {
      if (e.name === 'AbortError') return;
      problem = e.status === 404 ? 'The session has ended' : e.message;
      trace = null;
    }
    draw();
  }

  draw();
  return { stop: repeat(load, () => REFRESH_MS).stop };
}
