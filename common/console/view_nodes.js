/* Nodes: the list, and one of them with its last hour. */
import { atNode, del, get, isCluster, list, may, post } from './api.js';
import { h, patch } from './dom.js';
import { bps, codecs, count, duration, percent } from './format.js';
import { shareOf, toneOf, wordOf } from './graph.js';
import { repeat, state, watch } from './state.js';
import { attempt, button, card, chip, confirm, copyable, empty, facts, icon, meter, pager, state_chip, table } from './ui.js';
import { hourCharts } from './view_overview.js';
import { rateOf, streamHref } from './view_streams.js';

const PAGE = 25;
const nodeHref = (id) => `#/nodes/${encodeURIComponent(id)}`;

function drainButton(node, small = false) {
  if (!may('admin')) return null;
  const path = `/api/v1/nodes/${encodeURIComponent(node.id)}/drain`;
  if (node.drain || (!isCluster() && node.state === 'draining'))
    return button('Resume', () => attempt(`${node.id} stays`, () => del(path)), { key: `resume ${node.id}`, kind: small ? 'small' : '' });
  return button('Drain', async () => {
    const yes = await confirm({
      title: `Drain ${node.id}?`, verb: 'Drain',
      text: `It gets no new work. Its ${count(node.load.viewers)} viewers are moved to other nodes and its publishers are told to go; what is left at its deadline is cut off. "Resume" takes it back.` });
    if (yes) attempt(`${node.id} is told to leave`, () => post(path, {}));
  }, { kind: small ? 'danger small' : 'danger', key: `drain ${node.id}`, disabled: node.state === 'draining' });
}

const COLUMNS = [
  { key: 'id', title: 'Node', sort: true, cell: (n) => h('a', { href: nodeHref(n.id), class: 'strong' }, n.id) },
  { key: 'state', title: 'State', class: 'tight', cell: (n) => state_chip(wordOf(n)) },
  { key: 'role', title: 'Role', sort: true, cell: (n) => n.role },
  { key: 'zone', title: 'Zone', sort: true, cell: (n) => n.zone || h('span', { class: 'muted' }, '–') },
  { key: 'viewers', title: 'Viewers', class: 'number', sort: true, cell: (n) => count(n.load.viewers) },
  { key: 'streams', title: 'Streams', class: 'number', sort: true, cell: (n) => count(n.load.streams) },
  { key: 'out_bps', title: 'Outgoing', class: 'number', sort: true, cell: (n) => bps(n.load.out_bps) },
  { key: 'cpu_permille', title: 'Processor', sort: true, cell: (n) => meter(n.load.cpu_permille / 1000, percent(n.load.cpu_permille)) },
  { key: 'act', title: '', class: 'actions', cell: (n) => drainButton(n, true) },
];

function compare({ key, down }) {
  const of = (n) => n.load[key] ?? n[key] ?? '';
  return (a, b) => (of(a) === of(b) ? (a.id < b.id ? -1 : 1) : (of(a) < of(b) ? -1 : 1) * (down ? -1 : 1));
}

/* How many nodes there should be, as an autoscaler is told. */
const SCALING = [
  { key: 'role', title: 'Role', class: 'tight', cell: (x) => h('span', { class: 'strong' }, x.role) },
  { key: 'replicas', title: 'Take work', class: 'number', cell: (x) => count(x.replicas) },
  { key: 'wanted', title: 'Wanted', class: 'number', cell: (x) => count(x.wanted) },
  { key: 'utilisation', title: 'Used', cell: (x) => meter(x.utilisation, percent(x.utilisation * 1000)) },
  { key: 'headroom', title: 'Room for', class: 'number', cell: (x) => (x.headroom === null ? h('span', { class: 'muted' }, '–') : count(x.headroom)) },
  { key: 'reason', title: 'Why', cell: (x) => x.reason },
];

function scalingCard() {
  const known = Object.entries(state.autoscale ?? {}).filter(([, advice]) => advice).map(([role, advice]) => ({ role, ...advice }));
  if (!known.length) return null;
  return card('Scaling', table({ columns: SCALING, items: known, keyOf: (x) => x.role, label: 'Scaling' }), { key: 'scaling', className: 'flush-body' });
}

export function nodesView(root) {
  let sort = { key: 'id', down: false }, page = 0, match = '';
  const search = h('input', { type: 'search', placeholder: 'Search nodes and zones', 'aria-label': 'Search nodes', oninput: () => { match = search.value.trim(); page = 0; draw(); } });
  const body = h('div', { class: 'stack' });
  root.append(h('div', { class: 'toolbar' }, h('label', { class: 'search' }, icon('search'), search, h('kbd', { class: 'wide-only' }, '/'))), body);
  const onSort = (key) => { sort = { key, down: sort.key === key ? !sort.down : !['id', 'role', 'zone'].includes(key) }; draw(); };

  function draw() {
    const all = [...state.nodes.values()].filter((n) => n.id.includes(match) || n.zone.includes(match)).sort(compare(sort));
    const pages = Math.max(1, Math.ceil(all.length / PAGE));
    page = Math.min(page, pages - 1);
    patch(body, [h('section', { class: 'card flush', 'data-key': 'nodes' }, table({
      columns: COLUMNS, items: all.slice(page * PAGE, (page + 1) * PAGE), keyOf: (n) => n.id, sort, onSort, label: 'Nodes', none: empty(match ? 'No node has that in its name' : 'No node reports here') }),
    pager({ page, pages, total: `${count(all.length)} nodes`, onPage: (to) => { page = to; draw(); } })), scalingCard()]);
  }

  const stop = watch((topic) => (topic === 'nodes' || topic === 'autoscale') && draw());
  draw();
  return { stop };
}

/* --- one --- */

const STREAMS = [
  { key: 'name', title: 'Stream', cell: (x) => h('a', { href: streamHref(x.name), class: 'strong' }, x.name) },
  { key: 'source', title: 'From', cell: (x) => (!x.source ? h('span', { class: 'muted' }, 'nobody yet') : x.source.kind === 'publish' ? `${x.source.protocol} encoder` : x.source.upstream || 'pull') },
  { key: 'codecs', title: 'Codecs', cell: (x) => codecs(x.tracks) },
  { key: 'bps', title: 'Bit rate', class: 'number', cell: (x) => bps(x.bps) },
  { key: 'relays', title: 'Pulled by', class: 'number', cell: (x) => (x.relays ? count(x.relays) : h('span', { class: 'muted' }, '–')) },
  { key: 'viewers', title: 'Viewers', class: 'number', cell: (x) => count(x.viewers) },
];

export function nodeView(root, path) {
  const id = path.join('/');
  const charts = hourCharts();
  let about = null, streams = [], problem = null;

  function factsOf(node) {
    const url = (text) => (text ? copyable(text) : null);
    return facts([
      ['Role', node.role], node.zone && ['Zone', node.zone],
      ['Viewers', count(node.load.viewers) + (node.max_viewers ? ` of ${count(node.max_viewers)}` : '')],
      ['Publishers', count(node.load.publishers)],
      ['Outgoing', bps(node.load.out_bps) + (node.capacity_egress_bps ? ` of ${bps(node.capacity_egress_bps)}` : '')],
      ['Incoming', bps(node.load.in_bps)],
      ['Filled', meter(shareOf(node), percent(shareOf(node) * 1000))],
      about && ['Version', about.version], about && ['Up for', duration(about.uptime_ms)], about && ['Connections', count(about.connections)],
      isCluster() && ['Heard', `${node.heard_ms} ms ago${node.reports_here ? '' : ' (by another scheduler)'}`],
      ['RTMP', url(node.public.rtmps) ?? url(node.public.rtmp) ?? 'off'], ['HTTP', url(node.public.https) ?? url(node.public.http) ?? 'off'],
      ['Instance', h('code', null, node.instance)],
    ]);
  }

  function draw() {
    const node = state.nodes.get(id);
    if (!node) {
      patch(root, [card('', empty(`There is no node ${id}`, 'It may have left. Its last report is forgotten a while after its lease.'))]);
      return;
    }
    patch(root, [
      h('div', { class: 'page-head' }, h('div', null, h('a', { href: '#/nodes', class: 'crumb' }, 'Nodes'), h('h2', null, id), state_chip(wordOf(node)),
        node.older?.length > 0 && chip(`${node.older.length} older draining`, 'warn')),
      h('div', { class: 'row' }, h('a', { class: 'button', href: `#/sessions?node=${encodeURIComponent(id)}` }, icon('sessions'), h('span', null, 'Sessions')), drainButton(node))),
      toneOf(node) === 'bad' && h('p', { class: 'problem' }, 'Nothing has been heard of it for longer than its lease.'),
      problem && h('p', { class: 'problem' }, problem),
      h('div', { class: 'columns two facts-first', 'data-key': 'top' }, card('Node', factsOf(node), { key: 'facts' }), card('Streams here', table({
        columns: STREAMS, items: streams, keyOf: (x) => x.name, label: 'Streams of this node', none: empty(problem ? 'Not known' : 'None') }), { key: 'streams', className: 'flush-body' })),
      h('div', { class: 'columns', 'data-key': 'charts' }, charts.cards()),
    ]);
  }

  async function load(signal) {
    const base = atNode(id);
    try {
      const [got, past, [all]] = await Promise.all([get(`${base}/node`, signal), get(`${base}/history`, signal), list(`${base}/streams`, 50, signal)]);
      about = got;
      streams = all.map((x) => ({ ...x, bps: rateOf(x) }));
      charts.set(past);
      problem = null;
    } catch (e) {
      if (e.name === 'AbortError') return;
      problem = e.message;
    }
    draw();
  }

  const unwatch = watch((topic) => topic === 'nodes' && draw());
  draw();
  const life = repeat(load, () => 3000);
  return { stop() { life.stop(); unwatch(); } };
}
