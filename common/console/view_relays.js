/* What operators told: pulls from elsewhere and pushes to elsewhere; what is being recorded, and was. Any node
 * may be told and asked: it knows those of all; how they go is known where they run. */
import { atNode, del, get, isCluster, may } from './api.js';
import { h, patch } from './dom.js';
import { bytes, codec, duration } from './format.js';
import { repeat, state, tellAny } from './state.js';
import { attempt, button, card, confirm, empty, form, state_chip, table } from './ui.js';
import { streamHref } from './view_streams.js';

const REFRESH_MS = 3000;
const MOST_NODES = 30; // that are asked

const askable = () => [...state.nodes.values()].filter((n) => n.admin).map((n) => n.id).slice(0, MOST_NODES);
const someNode = () => askable()[0] ?? '';
const streamLink = (name) => (name.includes('*') ? h('code', null, name) : h('a', { href: streamHref(name), class: 'strong' }, name));

/* The items of all nodes; Promise.allSettled, since one that is away hides nobody else's. */
async function ofAll(path, signal) {
  const ids = isCluster() ? askable() : [''];
  const lists = await Promise.allSettled(ids.map(async (node) => (await get(`${atNode(node)}${path}`, signal)).items.map((x) => ({ ...x, node }))));
  const failed = lists.find((one) => one.status === 'rejected');
  if (failed && lists.every((one) => one.status === 'rejected')) throw failed.reason;
  return lists.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
}

/* load(signal) fills in, draw(problem) shows; both again and again. */
function shown(load, draw) {
  const life = repeat(async (signal) => {
    let problem = null;
    try {
      await load(signal);
    } catch (e) {
      if (e.name === 'AbortError') return;
      problem = e.message;
    }
    if (!signal.aborted) draw(problem);
  }, () => REFRESH_MS, state.nodes.size ? 0 : 600);
  draw(null);
  return life;
}

/* --- pulls and pushes --- */

/* One that runs at several nodes is one row: who does most with it speaks. */
const STATES = ['running', 'connecting', 'waiting', 'failed', 'idle'];

function merged(items) {
  const byId = new Map();
  for (const item of items) {
    item.id ??= item.stream; // of a pull that is what it is called by
    const key = `${item.kind} ${item.id}`;
    const has = byId.get(key);
    if (!has || STATES.indexOf(item.state) < STATES.indexOf(has.state)) byId.set(key, item);
  }
  return [...byId.values()];
}

const encodeId = (id) => id.split('/').map(encodeURIComponent).join('/');

export function relaysView(root) {
  let items = null, life = null;

  async function remove(item) {
    const kind = item.kind === 'pull' ? 'pulls' : 'pushes';
    const yes = await confirm({ title: `Remove this ${item.kind}?`, verb: 'Remove', text: `${item.stream ?? item.id}: it is stopped at every node, and forgotten.` });
    if (yes && await attempt('Removed', () => del(`${atNode(item.node || someNode())}/relays/${kind}/${encodeId(item.id)}`))) life.soon(0);
  }

  const columns = [
    { key: 'stream', title: 'Stream', cell: (x) => streamLink(x.stream ?? x.id) },
    { key: 'state', title: 'State', class: 'tight', cell: (x) => state_chip(x.state) },
    { key: 'url', title: 'Where', cell: (x) => h('code', null, x.current_url || x.url || x.urls?.join(' ') || '–') },
    { key: 'node', title: 'Node', cell: (x) => (x.state === 'idle' ? '–' : x.node || 'here') },
    { key: 'error', title: 'Last fault', cell: (x) => x.last_error || h('span', { class: 'muted' }, 'none') },
    { key: 'act', title: '', class: 'actions', cell: (x) => (x.origin === 'config' ? h('span', { class: 'muted' }, 'configuration')
      : may('operate') && button('Remove', () => remove(x), { kind: 'danger small', key: `remove ${x.id}` })) },
  ];

  async function addPull() {
    const nodes = askable();
    const yes = await form({
      title: 'Pull a stream from elsewhere', verb: 'Pull',
      fields: [{ name: 'stream', title: 'Stream here', hint: 'live/name', required: true },
               { name: 'url', title: 'From', hint: 'rtmp://example.com/live/name', required: true, help: 'RTMP, HTTP-FLV or HTTP-TS, also over TLS.' },
               { name: 'mode', title: 'When', options: [['on_demand', 'while somebody watches'], ['always', 'always']] },
               ...(isCluster() ? [{ name: 'node', title: 'At (where always)', options: nodes.map((id) => [id, id]) }] : [])],
      submit: (v) => tellAny('/relays/pulls', { stream: v.stream, urls: [v.url], mode: v.mode,
                                                                  ...(isCluster() && v.mode === 'always' ? { node: v.node } : {}) }),
    });
    if (yes) life.soon(0);
  }

  async function addPush() {
    const yes = await form({
      title: 'Push a stream elsewhere', verb: 'Push',
      fields: [{ name: 'stream', title: 'Stream', hint: 'live/name or live/*', required: true },
               { name: 'url', title: 'To', hint: 'rtmp://example.com/live/{name}', required: true }],
      submit: (v) => tellAny('/relays/pushes', v),
    });
    if (yes) life.soon(0);
  }

  function part(kind, title, none, add) {
    return card(title, items === null ? empty('Loading…') : table({ columns, items: items.filter((x) => x.kind === kind), keyOf: (x) => x.id, label: title, none: empty(none) }),
                { key: kind, className: 'flush-body', actions: may('operate') && button(`Add a ${kind}`, add, { glyph: 'plus', kind: 'primary' }) });
  }

  life = shown(async (signal) => { items = merged(await ofAll('/relays?limit=500', signal)); }, (problem) => patch(root, [
    problem && h('p', { class: 'problem' }, problem),
    part('pull', 'Pulls from elsewhere', 'Nothing is pulled', addPull), part('push', 'Pushes to elsewhere', 'Nothing is pushed', addPush)]));
  return life;
}

/* --- records --- */

function urlOf(record) {
  const node = state.nodes.get(record.node || [...state.nodes.keys()][0]);
  const base = location.protocol === 'https:' ? node?.public.https : node?.public.http;
  return base && record.url ? base + record.url : null;
}

export function recordsView(root) {
  let rules = null, running = [], files = [], life = null;

  async function remove(path, text, done) {
    if (await confirm({ title: 'Remove it?', verb: 'Remove', text }) && await attempt(done, () => del(path))) life.soon(0);
  }

  const ruleColumns = [
    { key: 'streams', title: 'Streams', cell: (x) => streamLink(x.streams) },
    { key: 'state', title: 'State', class: 'tight', cell: (x) => state_chip(x.state) },
    { key: 'formats', title: 'Formats', cell: (x) => [].concat(x.formats).join(', ') },
    { key: 'split', title: 'New file every', cell: (x) => (x.split_s ? duration(x.split_s * 1000) : '–') },
    { key: 'error', title: 'Last fault', cell: (x) => x.last_error || h('span', { class: 'muted' }, 'none') },
    { key: 'act', title: '', class: 'actions', cell: (x) => may('operate') && button('Stop', () => remove(`${atNode(x.node || someNode())}/records/rules/${encodeId(x.id)}`,
      'Recording by this rule ends. Files that are there stay.', 'Stopped'), { kind: 'danger small', key: `stop ${x.id}` }) },
  ];
  const runningColumns = [
    { key: 'stream', title: 'Stream', cell: (x) => streamLink(x.stream) }, { key: 'state', title: 'State', class: 'tight', cell: (x) => state_chip(x.state) },
    { key: 'format', title: 'Format', cell: (x) => x.format }, { key: 'duration', title: 'For', class: 'number', cell: (x) => duration(x.duration_ms) },
    { key: 'bytes', title: 'Size', class: 'number', cell: (x) => bytes(x.bytes) }, { key: 'node', title: 'Node', cell: (x) => x.node || 'here' },
  ];
  const fileColumns = [
    { key: 'stream', title: 'Stream', cell: (x) => streamLink(x.stream) },
    { key: 'start', title: 'From', cell: (x) => new Date(x.start_ms).toLocaleString() },
    { key: 'duration', title: 'Length', class: 'number', cell: (x) => duration(x.duration_ms) }, { key: 'bytes', title: 'Size', class: 'number', cell: (x) => bytes(x.bytes) },
    { key: 'codecs', title: 'Codecs', cell: (x) => [x.video, x.audio].filter(Boolean).map(codec).join(' + ') },
    { key: 'file', title: 'File', cell: (x) => (urlOf(x) ? h('a', { href: urlOf(x), rel: 'noreferrer', target: '_blank' }, x.format) : x.format) },
    { key: 'act', title: '', class: 'actions', cell: (x) => may('operate') && button('Delete', () => remove(`${atNode(x.node)}/records/files/${encodeId(x.id)}`,
      `${x.id} is removed from the disk.`, 'Deleted'), { kind: 'danger small', key: `delete ${x.node} ${x.id}` }) },
  ];

  async function add() {
    const yes = await form({
      title: 'Record streams', verb: 'Record',
      fields: [{ name: 'streams', title: 'Streams', hint: 'live/name or live/*', required: true },
               { name: 'format', title: 'Format', options: [['mp4', 'MP4'], ['flv', 'FLV'], ['ts', 'MPEG-TS'], ['hls', 'HLS']] },
               { name: 'split', title: 'New file every', options: [['3600', 'hour'], ['600', '10 minutes'], ['86400', 'day']] }],
      submit: (v) => tellAny('/records/rules', { streams: v.streams, formats: [v.format], split_s: Number(v.split) }),
    });
    if (yes) life.soon(0);
  }

  async function load(signal) {
    const all = await ofAll('/records/rules?limit=500', signal);
    const byId = new Map();
    for (const rule of all) if (byId.get(rule.id)?.state !== 'recording') byId.set(rule.id, rule);
    rules = [...byId.values()];
    [running, files] = await Promise.all([ofAll('/records/running?limit=200', signal), ofAll('/records?limit=200', signal)]);
    files.sort((a, b) => b.start_ms - a.start_ms);
  }

  life = shown(load, (problem) => patch(root, [
    problem && h('p', { class: 'problem' }, problem.includes('404') || problem.includes('record.dir') ? 'No node records: record.dir is not set.' : problem),
    card('Rules', rules === null ? empty('Loading…') : table({ columns: ruleColumns, items: rules, keyOf: (x) => x.id, label: 'Rules', none: empty('Nothing is to be recorded') }),
         { key: 'rules', className: 'flush-body', actions: may('operate') && button('Record', add, { glyph: 'plus', kind: 'primary' }) }),
    card('Being written', table({ columns: runningColumns, items: running, keyOf: (x) => `${x.node} ${x.stream} ${x.format}`, label: 'Being written', none: empty('Nothing') }), { key: 'running', className: 'flush-body' }),
    card('Finished', table({ columns: fileColumns, items: files, keyOf: (x) => `${x.node} ${x.id}`, label: 'Finished', none: empty('No files yet') }), { key: 'files', className: 'flush-body' })]));
  return life;
}
