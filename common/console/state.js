/* What the page knows, and who is to be told when it changes. A scheduler pushes nodes, streams that
 * begin, move and end, and totals; a node pushes what happens, and is asked for figures then. */
import { ApiError, atNode, events, get, isCluster, list, post, session } from './api.js';

export const state = {
  nodes: new Map(), // by id, as the scheduler describes them; at a node itself alone
  totals: null,     // {viewers, streams, in_bps, out_bps, nodes, cpu_permille}
  autoscale: null,  // {edge, origin}: {replicas, wanted, utilisation, headroom, reason}, or null: no advice yet
  history: null,    // {step_ms, series}
  live: false,      // the events are coming
};

const watchers = new Set();

/* handler(topic, data): "nodes", "totals", "autoscale", "history", "streams" (items, or null: ask again), "live".
 * Returns how to stop. */
export function watch(handler) {
  watchers.add(handler);
  return () => watchers.delete(handler);
}

function tell(topic, data) {
  for (const handler of [...watchers]) handler(topic, data);
}

/* --- of a scheduler --- */

let round = new Set();

function takeNodes({ first, last, items }) {
  if (first) round = new Set();
  for (const node of items) {
    round.add(node.id);
    state.nodes.set(node.id, node);
  }
  if (last) for (const id of [...state.nodes.keys()]) if (!round.has(id)) state.nodes.delete(id);
  tell('nodes');
}

const FROM_SCHEDULER = {
  hello: () => tell('streams', null),
  nodes: takeNodes,
  totals: (data) => { state.totals = data; tell('totals'); },
  autoscale: (data) => { state.autoscale = data; tell('autoscale'); },
  streams: ({ items, more }) => tell('streams', more ? null : items),
};

/* --- of a node --- */

function hostOf(address) {
  if (!address) return null;
  const [, host, port] = address.match(/^(.*):(\d+)$/);
  const isAny = host === '0.0.0.0' || host === '[::]';
  return `${isAny ? location.hostname : host}:${port}`;
}

function urlsOf(listen) {
  const url = (scheme, address) => (address ? `${scheme}://${hostOf(address)}` : '');
  return { rtmp: url('rtmp', listen.rtmp), http: url('http', listen.http), rtmps: url('rtmps', listen.rtmps),
           https: url('https', listen.https) };
}

/* The same shape as the scheduler's. */
async function askNode() {
  const [node, [streams]] = await Promise.all([get('/api/v1/node'), list('/api/v1/streams', 5000)]);
  const sum = (key) => streams.reduce((n, stream) => n + stream[key], 0);
  const newest = (key) => state.history?.series[key]?.at(-1) ?? 0;
  const load = { publishers: streams.filter((x) => x.source?.kind === 'publish').length, viewers: sum('viewers'),
                 relays: sum('relays'), streams: streams.length, in_bps: newest('in_bps'), out_bps: newest('out_bps'),
                 cpu_permille: newest('cpu_permille') };
  session.id = node.id;
  state.nodes = new Map([[node.id, {
    ...node, suspect: false, drain: node.state === 'draining', public: urlsOf(node.listen), load, upstreams: {},
    admin: 'here', max_viewers: 0, capacity_egress_bps: 0,
  }]]);
  state.totals = { viewers: load.viewers, streams: load.streams, relays: load.relays, in_bps: load.in_bps,
                   out_bps: load.out_bps, nodes: 1, cpu_permille: load.cpu_permille };
  tell('nodes');
  tell('totals');
}

let asked = null;

/* Many events make one question. */
export function refreshNode() {
  if (isCluster() || asked) return;
  asked = setTimeout(() => {
    asked = null;
    askNode().catch(() => {});
  }, 150);
}

/* Tells a setting, which all nodes then hear of: to an origin if there is one. Not every node takes every kind
 * (records need a folder), and some may be away. */
export async function tellAny(path, body) {
  const ids = [...state.nodes.values()].filter((n) => n.admin).sort((a, b) => (b.role !== 'edge') - (a.role !== 'edge')).map((n) => n.id);
  let failed = new ApiError(0, 'no node says where its admin port is: cluster.advertise.admin');
  for (const id of ids.slice(0, 5)) {
    try {
      return await post(`${atNode(id)}${path}`, body);
    } catch (e) {
      failed = e;
      if (![0, 404, 502, 504].includes(e.status)) break;
    }
  }
  throw failed;
}

/* --- again and again --- */

/* work(signal) now, and again pause_ms() after it has ended, or sooner: soon(ms) never puts it off, however often
 * it is called. work does not throw. */
export function repeat(work, pause_ms, first_ms = 0) {
  const stop = new AbortController();
  let timer = null, due = Infinity, isBusy = false, isAsked = false;
  const soon = (ms) => {
    const at = performance.now() + ms;
    if (isBusy) isAsked = true;
    if (isBusy || stop.signal.aborted || at >= due) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(run, ms);
  };
  async function run() {
    due = Infinity;
    isBusy = true;
    isAsked = false;
    await work(stop.signal);
    isBusy = false;
    soon(isAsked ? 100 : pause_ms());
  }
  soon(first_ms);
  return { soon, stop() { stop.abort(); clearTimeout(timer); } };
}

/* --- life --- */

async function askHistory() {
  state.history = await get('/api/v1/history');
  tell('history');
}

function setLive(live) {
  if (state.live === live) return;
  state.live = live;
  tell('live');
}

function onEvent(name, data) {
  if (isCluster()) {
    FROM_SCHEDULER[name]?.(data);
  } else {
    refreshNode();
    tell('streams', null);
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

async function follow(signal) {
  let wait = 500;
  while (!signal.aborted) {
    try {
      await events('/api/v1/events', () => {
        wait = 500;
        setLive(true);
        refreshNode();
        tell('streams', null);
      }, onEvent, signal);
    } catch {
      if (signal.aborted) return;
    }
    setLive(false);
    await pause(wait, signal);
    wait = Math.min(wait * 2, 8000);
  }
}

/* Returns how to stop. */
export function start() {
  const stop = new AbortController();
  const ask = () => { askHistory().catch(() => {}); };
  const timers = [setInterval(ask, 5000), setInterval(refreshNode, 2000)];
  ask();
  refreshNode();
  follow(stop.signal);
  return () => {
    stop.abort();
    timers.forEach(clearInterval);
    state.nodes.clear();
    state.totals = state.autoscale = state.history = null;
    state.live = false;
  };
}
