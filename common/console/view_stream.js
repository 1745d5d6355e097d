/* One stream: its tree with the lag of each hop, its player, who watches, and what can be done about it. */
import { atNode, del, encodeName, get, isCluster, may } from './api.js';
import { chart, Seen } from './chart.js';
import { h, keep, patch } from './dom.js';
import { bps, bytes, codecs, count, duration, lag } from './format.js';
import { streamTree } from './graph.js';
import { repeat, state, tellAny, watch } from './state.js';
import { attempt, button, card, confirm, copyable, empty, facts, form, state_chip } from './ui.js';
import { Player } from './player_panel.js';
import { sessionTable } from './view_sessions.js';

const REFRESH_MS = 2000;
const MOST_HOPS = 60;     // nodes that are asked for their lag
const SPAN_MS = 300000;

/* {owner, hops: [{node, upstream, viewers, children}]}, the owner first. Throws 404. */
async function askTree(name, signal) {
  if (isCluster()) {
    const s = await get(`/api/v1/streams/${encodeName(name)}`, signal);
    const relayed = s.carriers.reduce((n, c) => n + c.viewers, 0);
    const owner = s.owner ?? s.carriers.find((c) => !c.upstream)?.node ?? s.carriers[0]?.node ?? null;
    const hops = s.carriers.filter((c) => c.node !== owner);
    return { owner, standbys: s.standbys, viewers: s.viewers, epoch: s.epoch,
             hops: owner ? [{ node: owner, upstream: '', viewers: s.viewers - relayed, children: 0 }, ...hops] : [] };
  }
  const s = await get(`/api/v1/streams/${encodeName(name)}`, signal);
  const id = [...state.nodes.keys()][0] ?? 'this node';
  const above = s.hops.slice(1).reverse().map((hop, i, all) => ({ node: hop.node, upstream: i ? all[i - 1].node : '', viewers: 0, lag_us: hop.lag_us }));
  return { owner: id, standbys: [], viewers: s.viewers, epoch: s.epoch, detail: s,
           hops: [...above, { node: id, upstream: above.at(-1)?.node ?? '', viewers: s.viewers, lag_us: s.lag_us }] };
}

async function details(tree, name, signal) {
  const all = await Promise.allSettled(tree.hops.slice(0, MOST_HOPS).map(async (hop) => {
    if (isCluster() && !state.nodes.get(hop.node)?.admin) return;
    const detail = isCluster() ? await get(`${atNode(hop.node)}/streams/${encodeName(name)}`, signal) : tree.detail;
    if (isCluster()) Object.assign(hop, { lag_us: detail.lag_us, viewers: detail.viewers });
    if (hop.node === tree.owner) tree.detail = detail;
  }));
  return all;
}

function sourceOf(detail) {
  const source = detail?.source;
  if (!source) return null;
  if (source.kind === 'publish') return { title: `${source.protocol} encoder`, lines: [bps(detail.bps)] };
  return { title: source.upstream || 'pull', lines: ['pulled', source.protocol] };
}

export async function recordDialog(name) {
  await form({
    title: `Record ${name}`, verb: 'Record',
    fields: [{ name: 'format', title: 'Format', options: [['mp4', 'MP4'], ['flv', 'FLV'], ['ts', 'MPEG-TS'], ['hls', 'HLS']] },
             { name: 'split', title: 'New file every', options: [['3600', 'hour'], ['600', '10 minutes'], ['86400', 'day']],
               help: 'The rule stays until it is removed, also over restarts: see Records.' }],
    submit: (v) => tellAny('/records/rules', { streams: name, formats: [v.format], split_s: Number(v.split) }),
  }) && location.assign('#/records');
}

export async function pushDialog(name) {
  await form({
    title: `Push ${name}`, verb: 'Push',
    fields: [{ name: 'url', title: 'To', hint: 'rtmp://example.com/live/key', required: true, help: 'It goes there whenever the stream is live, until the push is removed.' }],
    submit: (v) => tellAny('/relays/pushes', { stream: name, url: v.url }),
  }) && location.assign('#/relays');
}

export function streamView(root, path) {
  const name = path.join('/');
  const seen = new Seen(SPAN_MS / REFRESH_MS);
  const rate = chart({ label: 'Bit rate since the page was opened', span_ms: SPAN_MS });
  const player = new Player(name);
  let tree = null, sessions = [], problem = null;

  const actions = () => [
    may('operate') && button('Record', () => recordDialog(name), { glyph: 'records' }),
    may('operate') && button('Push', () => pushDialog(name), { glyph: 'relays' }),
    may('operate') && button('Kick', async () => {
      const yes = await confirm({ title: 'Kick this stream?', verb: 'Kick',
                                  text: `The publisher of ${name} and the viewers at ${tree.owner} are disconnected. An encoder that comes back is let in: ban it to keep it out.` });
      if (yes) attempt('Kicked', () => del(`${atNode(tree.owner)}/streams/${encodeName(name)}`));
    }, { kind: 'danger', disabled: !tree?.owner }),
  ];

  function head() {
    const isLive = Boolean(tree?.detail?.live);
    return h('div', { class: 'page-head' }, h('div', null, h('a', { href: '#/streams', class: 'crumb' }, 'Streams'), h('h2', null, name),
      tree && state_chip(isLive ? 'live' : 'waiting')), h('div', { class: 'row' }, actions()));
  }

  function about() {
    const d = tree.detail;
    return facts([
      ['Viewers', count(tree.viewers)],
      d && ['Bit rate', bps(seen.values.at(-1))],
      d && ['Codecs', codecs(d.tracks)],
      d && ['Live for', duration(d.age_ms)],
      d && ['Last frame', d.since_frame_ms < 1000 ? 'just now' : `${duration(d.since_frame_ms)} ago`],
      d && ['Received', bytes(d.bytes_in)],
      tree.owner && ['Origin', h('a', { href: `#/nodes/${encodeURIComponent(tree.owner)}` }, tree.owner)],
      tree.hops.length > 1 && ['Furthest behind', lag(Math.max(...tree.hops.map((hop) => hop.lag_us ?? 0)))],
      tree.standbys.length > 0 && ['Standby at', tree.standbys.join(', ')],
      ['Epoch', h('code', null, tree.epoch)],
    ]);
  }

  function draw() {
    if (problem) {
      patch(root, [head(), card('', empty(problem, 'It is shown again as soon as somebody brings it.'), { key: 'none' })]);
      return;
    }
    if (!tree) {
      patch(root, [head(), empty('Loading…')]);
      return;
    }
    if (tree.detail) tree.detail.bps = seen.values.at(-1);
    patch(root, [
      head(),
      h('div', { class: 'columns two', 'data-key': 'top' },
        card('Player', keep('player', player.el), { key: 'player', className: 'player-card' }),
        h('div', { class: 'stack', 'data-key': 'side' }, card('Stream', about(), { key: 'about' }),
          card('Addresses', h('ul', { class: 'plain urls' }, player.addresses().map(([kind, url]) => h('li', { 'data-key': kind }, h('b', null, kind), copyable(url)))), { key: 'urls' }))),
      card('Who pulls from whom', tree.hops.length ? streamTree(sourceOf(tree.detail), tree.hops, state.nodes, root.clientWidth - 40) : empty('No node carries it'), { key: 'tree' }),
      card('Sessions', sessionTable(sessions, { withStream: false, withNode: isCluster() }), { key: 'sessions', className: 'flush-body' }),
      card('Bit rate', keep('rate', rate.el), { key: 'rate' }),
    ]);
  }

  async function askSessions(signal) {
    const ids = (tree.hops.length ? tree.hops : []).filter((hop) => !isCluster() || state.nodes.get(hop.node)?.admin).slice(0, 10);
    const lists = await Promise.allSettled((isCluster() ? ids : [{ node: '' }]).map(async ({ node }) => {
      const page = await get(`${atNode(node)}/sessions?stream=${encodeURIComponent(name)}&limit=50`, signal);
      return page.items.map((item) => ({ ...item, node }));
    }));
    sessions = lists.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
      .sort((a, b) => (a.kind === 'publish' ? 0 : 1) - (b.kind === 'publish' ? 0 : 1) || b.age_ms - a.age_ms);
  }

  async function load(signal) {
    try {
      const got = await askTree(name, signal);
      await details(got, name, signal);
      tree = got;
      problem = null;
      if (tree.detail) seen.addBytes(tree.detail.bytes_in, performance.now());
      rate.set({ step_ms: REFRESH_MS, format: bps, least: 100000, series: [{ name: 'incoming', tone: 'one', values: seen.values }] });
      await askSessions(signal);
      player.know(tree, state.nodes);
    } catch (e) {
      if (e.name === 'AbortError') return;
      problem = e.status === 404 ? 'Nobody publishes this stream' : e.message;
    }
    draw();
  }

  const unwatch = watch((topic, data) => {
    if (topic === 'streams' && (!data || data.some((x) => x.name === name))) life.soon(100);
  });
  draw();
  const life = repeat(load, () => REFRESH_MS);
  return { stop() { life.stop(); unwatch(); player.close(); } };
}
