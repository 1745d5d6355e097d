/* The list of streams: search, sort, pages. Of a cluster's streams the scheduler knows who has them; what they
 * are made of is asked at their owners, for the rows that are shown. */
import { atNode, encodeName, get, isCluster, list } from './api.js';
import { Seen } from './chart.js';
import { h, patch } from './dom.js';
import { bps, codecs, count } from './format.js';
import { repeat, state, watch } from './state.js';
import { empty, icon, pager, state_chip, table } from './ui.js';

const MOST = 5000; // that are looked at; a search narrows it down
const PAGE = 25;
const AT_A_TIME = 6;

const rates = new Map(); // by stream: Seen

export function rateOf(stream) {
  if (!rates.has(stream.name)) {
    if (rates.size > 2 * MOST) rates.clear();
    rates.set(stream.name, new Seen(300));
  }
  return rates.get(stream.name).addBytes(stream.bytes_in, performance.now());
}

export const streamHref = (name) => `#/streams/${encodeName(name)}`;

function nameCell(stream) {
  const at = stream.name.lastIndexOf('/') + 1;
  return h('a', { href: streamHref(stream.name), class: 'strong' }, h('span', { class: 'muted' }, stream.name.slice(0, at)), stream.name.slice(at));
}

const COLUMNS = [
  { key: 'name', title: 'Stream', sort: true, cell: nameCell },
  { key: 'state', title: 'State', class: 'tight', cell: (x) => state_chip(x.live ? 'live' : 'waiting') },
  { key: 'owner', title: 'Node', sort: true, cluster: true,
    cell: (x) => (x.owner ? h('a', { href: `#/nodes/${encodeURIComponent(x.owner)}` }, x.owner) : h('span', { class: 'muted' }, '–')) },
  { key: 'codecs', title: 'Codecs', cell: (x) => codecs(x.tracks) },
  { key: 'bps', title: 'Bit rate', class: 'number', cell: (x) => bps(x.bps) },
  { key: 'n_carriers', title: 'Relayed by', class: 'number', sort: true, cluster: true, cell: (x) => (x.n_carriers ? count(x.n_carriers) : h('span', { class: 'muted' }, '–')) },
  { key: 'viewers', title: 'Viewers', class: 'number', sort: true, cell: (x) => count(x.viewers) },
];

function compare(key, down) {
  const sign = down ? -1 : 1;
  return (a, b) => {
    const [x, y] = [a[key] ?? '', b[key] ?? ''];
    if (x === y) return a.name < b.name ? -1 : 1;
    return (x < y ? -1 : 1) * sign;
  };
}

export function streamsView(root, path) {
  let items = [], more = false, known = false, failed = null;
  let match = '', sort = { key: 'name', down: false }, page = 0;
  let round = 0;
  const search = h('input', { type: 'search', placeholder: 'Search streams', 'aria-label': 'Search streams', maxlength: 128,
                              oninput: () => { match = search.value.trim(); page = 0; draw(); life.soon(200); } });
  const bar = h('div', { class: 'toolbar' }, h('label', { class: 'search' }, icon('search'), search, h('kbd', { class: 'wide-only' }, '/')));
  const body = h('div');
  root.append(bar, body);

  const shown = () => items.filter((x) => x.name.includes(match)).sort(compare(sort.key, sort.down));

  function draw() {
    const all = shown();
    const pages = Math.max(1, Math.ceil(all.length / PAGE));
    page = Math.min(page, pages - 1);
    const onSort = (key) => {
      sort = { key, down: sort.key === key ? !sort.down : key !== 'name' && key !== 'owner' };
      draw();
    };
    patch(body, [
      failed && h('p', { class: 'problem' }, failed),
      h('section', { class: 'card flush' }, table({
        columns: COLUMNS.filter((c) => isCluster() || !c.cluster), items: all.slice(page * PAGE, (page + 1) * PAGE), keyOf: (x) => x.name, sort, onSort, label: 'Streams',
        none: known ? empty(match ? 'No stream has that in its name' : 'No stream is live', match ? null : 'Publish one by RTMP, or pull one from elsewhere.')
          : empty('Loading…') }),
      pager({ page, pages, total: `${count(all.length)} streams`, onPage: (to) => { page = to; draw(); life.soon(0); } })),
      more && h('p', { class: 'hint' }, `These are the first ${count(items.length)} by name; search to see others.`),
    ]);
  }

  /* What the owner knows of the rows that are shown. */
  async function enrich(signal) {
    if (!isCluster()) return;
    const mine = ++round;
    const wanted = shown().slice(page * PAGE, (page + 1) * PAGE).filter((x) => x.owner && state.nodes.get(x.owner)?.admin);
    const one = async () => {
      for (let item = wanted.shift(); item && mine === round && !signal.aborted; item = wanted.shift()) {
        try {
          const detail = await get(`${atNode(item.owner)}/streams/${encodeName(item.name)}`, signal);
          item.tracks = detail.tracks;
          item.bps = rateOf(detail) ?? item.bps;
        } catch { /* it ended, or its node is away: the row stays as it is */ }
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, one));
    if (mine === round && !signal.aborted) draw();
  }

  async function load(signal) {
    try {
      const query = isCluster() && match ? `?match=${encodeURIComponent(match)}` : '';
      const old = new Map(items.map((x) => [x.name, x]));
      const [got, isMore] = await list(`/api/v1/streams${query}`, MOST, signal);
      more = isMore;
      items = got.map((x) => (isCluster() ? { ...old.get(x.name), ...x, live: x.owner !== null } : { ...x, bps: rateOf(x) ?? old.get(x.name)?.bps }));
      known = true;
      failed = null;
    } catch (e) {
      if (e.name === 'AbortError') return;
      failed = e.message;
    }
    draw();
    await enrich(signal);
  }

  /* Pushed: those that began, moved or ended. */
  function take(changed) {
    for (const x of changed) {
      const at = items.findIndex((one) => one.name === x.name);
      const isThere = x.owner !== null || x.n_carriers > 0;
      if (at >= 0 && isThere) Object.assign(items[at], x, { live: x.owner !== null });
      else if (at >= 0) items.splice(at, 1);
      else if (isThere) items.push({ ...x, live: x.owner !== null });
    }
    draw();
    life.soon(300); // what they are made of
  }

  const unwatch = watch((topic, data) => {
    if (topic !== 'streams') return;
    if (data) take(data);
    else life.soon(100);
  });
  if (path[0]) search.value = match = path[0];
  draw();
  const life = repeat(load, () => (items.length > 1000 ? 10000 : 2500));
  return { stop() { life.stop(); unwatch(); } };
}
