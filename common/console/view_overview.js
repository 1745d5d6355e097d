/* The whole at a glance: figures, the last hour, the map. */
import { isCluster } from './api.js';
import { chart, sparkline } from './chart.js';
import { h, keep, patch } from './dom.js';
import { bps, count, percent } from './format.js';
import { nodeMap, toneOf, wordOf } from './graph.js';
import { state, watch } from './state.js';
import { card, empty } from './ui.js';

export const HOUR_MS = 3600000;
const TROUBLES = 24; // that are named

function tile(name, value, values, href) {
  return h('a', { class: 'tile', href, 'data-key': name }, h('span', { class: 'tile-name' }, name), h('span', { class: 'tile-value' }, value),
           values ? sparkline(values) : h('span', { class: 'spark' }));
}

/* Three charts of a history; also of one node. */
export function hourCharts() {
  const viewers = chart({ label: 'Viewers in the last hour', span_ms: HOUR_MS });
  const traffic = chart({ label: 'Traffic in the last hour', span_ms: HOUR_MS });
  const cpu = chart({ label: 'Processor in the last hour', span_ms: HOUR_MS });
  return {
    cards: () => [card('Viewers', keep('viewers', viewers.el), { key: 'viewers' }), card('Traffic', keep('traffic', traffic.el), { key: 'traffic' }), card('Processor', keep('cpu', cpu.el), { key: 'cpu' })],
    set({ step_ms, series }) {
      viewers.set({ step_ms, format: count, least: 4, series: [{ name: 'viewers', tone: 'one', values: series.viewers }] });
      traffic.set({ step_ms, format: bps, series: [{ name: 'out', tone: 'one', values: series.out_bps }, { name: 'in', tone: 'two', values: series.in_bps }] });
      cpu.set({ step_ms, format: percent, least: 50, series: [{ name: isCluster() && series.nodes ? 'mean of nodes' : 'of all cores', tone: 'three', values: series.cpu_permille }] });
    },
  };
}

function troubles(nodes) {
  const bad = nodes.filter((node) => toneOf(node) !== 'good').sort((a, b) => (toneOf(a) + a.id < toneOf(b) + b.id ? -1 : 1));
  if (!bad.length) return null;
  return card('Needs a look', h('div', { class: 'row' }, bad.slice(0, TROUBLES).map((node) => h('a', {
    href: `#/nodes/${encodeURIComponent(node.id)}`, class: `chip ${toneOf(node)}`, 'data-key': node.id }, h('i', { class: 'dot' }), node.id, h('span', { class: 'plain-text' }, wordOf(node)))),
  bad.length > TROUBLES && h('a', { href: '#/nodes' }, `and ${bad.length - TROUBLES} more`)), { key: 'troubles' });
}

export function overviewView(root) {
  const charts = hourCharts();
  const draw = () => {
    const nodes = [...state.nodes.values()], t = state.totals, past = state.history?.series;
    const last = (key) => past?.[key]?.slice(-120);
    patch(root, [
      h('div', { class: 'tiles' },
        tile('Viewers', t ? count(t.viewers) : '–', last('viewers'), '#/sessions'),
        tile('Streams', t ? count(t.streams) : '–', last('streams'), '#/streams'),
        tile('Outgoing', t ? bps(t.out_bps) : '–', last('out_bps'), '#/nodes'),
        tile('Incoming', t ? bps(t.in_bps) : '–', last('in_bps'), '#/nodes'),
        isCluster() ? tile('Nodes', t ? count(t.nodes) : '–', last('nodes'), '#/nodes') : tile('Processor', t ? percent(t.cpu_permille) : '–', last('cpu_permille'), '#/nodes')),
      troubles(nodes),
      card(isCluster() ? 'Map' : 'This node', nodes.length ? nodeMap(nodes, root.clientWidth - (root.clientWidth < 700 ? 30 : 42)) : empty(state.live ? 'No node reports here' : 'Waiting for the server…',
        'A node reports once its cluster.schedulers name this scheduler.'), { key: 'map' }),
      h('div', { class: 'columns', 'data-key': 'charts' }, charts.cards()),
    ]);
  };
  const stop = watch((topic) => {
    if (topic === 'history') charts.set(state.history);
    if (topic === 'nodes' || topic === 'totals' || topic === 'history' || topic === 'live') draw();
  });
  const sizes = new ResizeObserver(draw);
  draw();
  sizes.observe(root);
  if (state.history) charts.set(state.history);
  return { stop() { stop(); sizes.disconnect(); } };
}
