/* The two pictures of who feeds whom: all nodes, and the tree of one stream. Boxes and curves; where
 * there is no room beside each other they stand below each other. */
import { h, s } from './dom.js';
import { bps, count, lag, percent } from './format.js';

const BOX = { w: 206, h: 64 }; // w: beside each other
const TALL_W = 154;            // below each other
const GAP = { x: 96, y: 16 };
const TALL_GAP = 30;
const CROWD = 14; // more nodes than that are tiles, whose links are shown when they are pointed at
const DENSE = 80; // and more are squares

const viewers = (n) => `${count(n)} ${n === 1 ? 'viewer' : 'viewers'}`;
const cut = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);

/* The four points of a link's curve. */
function pointsOf({ from, to }, isTall) {
  if (isTall) {
    const [x1, y1, x2, y2] = [from.x + from.w / 2, from.y + BOX.h, to.x + to.w / 2, to.y];
    const my = (y1 + y2) / 2;
    return [[x1, y1], [x1, my], [x2, my], [x2, y2]];
  }
  const [x1, y1, x2, y2] = [from.x + from.w, from.y + BOX.h / 2, to.x, to.y + BOX.h / 2];
  const mx = (x1 + x2) / 2;
  return [[x1, y1], [mx, y1], [mx, y2], [x2, y2]];
}

/* Where on it the label stands: nearer to its end, where others of the same beginning are apart. */
function along([a, b, c, d], t) {
  const u = 1 - t;
  return [0, 1].map((i) => u * u * u * a[i] + 3 * u * u * t * b[i] + 3 * u * t * t * c[i] + t * t * t * d[i]);
}

/* A box: {x, y, href, tone, title, lines, share}. */
function drawBox(box) {
  const inside = [
    s('rect', { class: 'box', width: box.w, height: BOX.h, rx: 10 }),
    s('circle', { class: `state ${box.tone}`, cx: 16, cy: 20, r: 4.5 }),
    s('text', { class: 'name', x: 28, y: 24 }, cut(box.title, Math.floor((box.w - 42 - (box.zone ? 60 : 0)) / 7.6))),
    s('text', { class: 'sub', x: 14, y: 44 }, cut(box.lines.join(' · '), Math.floor((box.w - 24) / 5.7))),
    box.zone && s('text', { class: 'sub', x: box.w - 14, y: 24, 'text-anchor': 'end' }, cut(box.zone, 10)),
    box.share !== undefined && s('rect', { class: 'load-back', x: 14, y: 54, width: box.w - 28, height: 3, rx: 1.5 }),
    box.share !== undefined && s('rect', { class: `load ${box.share > 0.9 ? 'bad' : box.share > 0.7 ? 'warn' : ''}`, x: 14, y: 54, rx: 1.5, height: 3,
                                           width: Math.max(0, Math.min(1, box.share)) * (box.w - 28) }),
    s('title', null, [box.title, ...box.lines].join(' · ')),
  ];
  const at = { transform: `translate(${box.x} ${box.y})`, 'data-key': `box ${box.key}` };
  return box.href ? s('a', { href: box.href, class: 'node', ...at, 'aria-label': [box.title, ...box.lines].join(', ') }, inside)
    : s('g', { class: 'node', ...at }, inside);
}

function drawLink(link, isTall) {
  const [a, b, c, d] = pointsOf(link, isTall);
  const path = `M${a}C${b} ${c} ${d}`;
  return s('g', { 'data-key': `link ${link.from.key} ${link.to.key}` },
           s('path', { class: 'wire', d: path, 'stroke-width': link.width ?? 1.5 }), s('path', { class: 'flow', d: path }));
}

function drawLabel(link, isTall) {
  if (!link.label) return null;
  const [x, y] = along(pointsOf(link, isTall), 0.66);
  return s('text', { class: 'link-label', x, y: y + 4, 'text-anchor': 'middle', 'data-key': `label ${link.from.key} ${link.to.key}` }, link.label);
}

function picture(boxes, links, isTall, label) {
  const w = Math.max(...boxes.map((b) => b.x + b.w)) + 2, ht = Math.max(...boxes.map((b) => b.y + BOX.h)) + 2;
  return h('div', { class: 'graph' }, s('svg', { viewBox: `-2 -2 ${w + 2} ${ht + 2}`, width: w + 2, height: ht + 2, role: 'group', 'aria-label': label },
    links.map((link) => drawLink(link, isTall)), links.map((link) => drawLabel(link, isTall)), boxes.map(drawBox)));
}

/* --- all nodes --- */

export function toneOf(node) {
  if (node.state === 'lapsed' || node.state === 'gone') return 'bad';
  return node.suspect || node.state !== 'active' ? 'warn' : 'good';
}

/* What is to be said of it in one word. */
export const wordOf = (node) => (node.suspect && node.state === 'active' ? 'suspect' : node.state);

/* How full: what it sends of what it can, viewers of what it admits, or its processors. */
export function shareOf(node) {
  const shares = [node.load.cpu_permille / 1000];
  if (node.capacity_egress_bps) shares.push(node.load.out_bps / node.capacity_egress_bps);
  if (node.max_viewers) shares.push(node.load.viewers / node.max_viewers);
  return Math.max(...shares);
}

/* Rows of ranks: origins, then edges by zone. A rank that is long goes on in the next row. */
function place(ranks, isTall, perRow) {
  const w = isTall ? TALL_W : BOX.w;
  let at = 0;
  for (const rank of ranks) {
    rank.forEach((box, i) => {
      if (isTall) Object.assign(box, { zone: '', lines: box.lines.slice(0, 2) });
      const across = i % perRow, along = Math.floor(i / perRow);
      box.w = w;
      if (isTall) Object.assign(box, { x: across * (w + 14), y: at + along * (BOX.h + TALL_GAP) });
      else Object.assign(box, { x: at + along * (w + 14), y: across * (BOX.h + GAP.y) });
    });
    const rows = Math.ceil(rank.length / perRow);
    at += isTall ? rows * (BOX.h + TALL_GAP) + 24 : rows * (w + 14) + GAP.x;
  }
  const side = isTall ? 'x' : 'y', step = isTall ? w + 14 : BOX.h + GAP.y;
  const longest = Math.max(...ranks.map((r) => Math.min(r.length, perRow)));
  for (const rank of ranks) for (const box of rank) box[side] += ((longest - Math.min(rank.length, perRow)) * step) / 2; // in the middle
}

function boxOfNode(node) {
  return { key: node.id, href: `#/nodes/${encodeURIComponent(node.id)}`, tone: toneOf(node), title: node.id, share: shareOf(node),
           zone: node.zone,
           lines: [node.role === 'origin' && node.load.publishers ? `${count(node.load.publishers)} in` : viewers(node.load.viewers),
                   bps(node.load.out_bps), node.state === 'active' && !node.suspect ? percent(node.load.cpu_permille) : node.suspect ? 'suspect' : node.state] };
}

/* --- too many for curves --- */

const load = (node) => h('i', { class: `bar ${shareOf(node) > 0.9 ? 'bad' : shareOf(node) > 0.7 ? 'warn' : ''}`, width_percent: (shareOf(node) * 100).toFixed(0) });

function tile(node) {
  const text = `${node.id}: ${node.role}, ${viewers(node.load.viewers)}, ${bps(node.load.out_bps)}, ${wordOf(node)}`;
  const up = Object.keys(node.upstreams ?? {}).join(' ');
  return h('a', { href: `#/nodes/${encodeURIComponent(node.id)}`, class: `mini ${toneOf(node)}`, 'data-key': node.id, 'data-up': up, title: text, 'aria-label': text },
           h('b', null, node.id), h('span', null, node.role === 'origin' ? `${count(node.load.publishers)} in` : count(node.load.viewers)), load(node));
}

const square = (node) => h('a', {
  href: `#/nodes/${encodeURIComponent(node.id)}`, class: `square ${toneOf(node)} load-${Math.min(9, Math.floor(shareOf(node) * 10))}`, 'data-key': node.id,
  'data-up': Object.keys(node.upstreams ?? {}).join(' '),
  title: `${node.id}: ${node.role}, ${viewers(node.load.viewers)}, ${bps(node.load.out_bps)}, ${wordOf(node)}`, 'aria-label': node.id,
});

/* Those that it pulls from, and those that pull from it. */
function showRelated(event) {
  const all = [...event.currentTarget.querySelectorAll('[data-up]')];
  const at = event.type === 'pointerleave' || event.type === 'focusout' ? null : event.target.closest('[data-up]');
  const id = at?.dataset.key;
  const up = new Set(at?.dataset.up.split(' '));
  for (const el of all) {
    el.classList.toggle('related', Boolean(at) && (up.has(el.dataset.key) || el.dataset.up.split(' ').includes(id)));
    el.classList.toggle('apart', Boolean(at) && el !== at && !el.classList.contains('related'));
  }
}

/* By role and zone. */
function crowd(nodes) {
  const isDense = nodes.length > DENSE;
  const groups = new Map();
  for (const node of nodes) {
    const name = [node.role === 'edge' ? 'Edges' : 'Origins', node.zone].filter(Boolean).join(' · ');
    groups.set(name, [...(groups.get(name) ?? []), node]);
  }
  return h('div', { class: 'crowd', onpointerover: showRelated, onpointerleave: showRelated, onfocusin: showRelated, onfocusout: showRelated },
           [...groups].sort(([a], [b]) => b.startsWith('O') - a.startsWith('O') || (a < b ? -1 : 1)).map(([name, some]) => h('div', { 'data-key': name },
             h('h3', null, name, h('span', { class: 'muted' }, ` ${some.length}`)), h('div', { class: isDense ? 'squares' : 'minis' }, some.map(isDense ? square : tile)))));
}

export function nodeMap(nodes, width) {
  const sorted = [...nodes].sort((a, b) => (a.zone + a.id < b.zone + b.id ? -1 : 1));
  if (sorted.length > CROWD) return crowd(sorted);
  const isTall = width < 560;
  const ranks = [sorted.filter((n) => n.role !== 'edge'), sorted.filter((n) => n.role === 'edge')]
    .filter((rank) => rank.length).map((rank) => rank.map(boxOfNode));
  place(ranks, isTall, isTall ? Math.max(1, Math.floor((width + 14) / (TALL_W + 14))) : Math.max(4, Math.ceil(Math.sqrt(sorted.length * 2))));
  const boxes = new Map(ranks.flat().map((box) => [box.key, box]));
  const links = [];
  for (const node of sorted)
    for (const [from, n] of Object.entries(node.upstreams ?? {}))
      if (boxes.has(from) && from !== node.id)
        links.push({ from: boxes.get(from), to: boxes.get(node.id), width: 1.5 + Math.min(3, Math.log2(n) / 2),
                     label: n === 1 ? '1 stream' : `${n} streams` });
  return picture(ranks.flat(), links, isTall, 'Nodes and what they pull from each other');
}

/* --- one stream --- */

/* Children below their parents, leaves in rows. */
function layOut(root, isTall) {
  const boxes = [];
  let row = 0;
  const visit = (box, depth) => {
    const first = row;
    box.children.forEach((child) => visit(child, depth + 1));
    if (!box.children.length) row++;
    const at = box.children.length ? (first + row - 1) / 2 : first;
    if (isTall) Object.assign(box, { x: depth * 26, w: TALL_W + 40 });
    else Object.assign(box, { x: depth * (BOX.w + GAP.x), w: BOX.w, y: at * (BOX.h + GAP.y) });
    boxes.push(box);
  };
  visit(root, 0);
  if (isTall) { // parents first, as one reads
    boxes.length = 0;
    const walk = (box) => {
      box.y = boxes.length * (BOX.h + TALL_GAP);
      boxes.push(box);
      box.children.forEach(walk);
    };
    walk(root);
  }
  return boxes;
}

/* source: {title, lines} above the owner, or null. hops: [{node, upstream, viewers, children, lag_us}], the
 * owner first. Those whose upstream is not among them hang below the owner. */
export function streamTree(source, hops, nodes, width) {
  const boxes = new Map(hops.map((hop) => [hop.node, {
    key: hop.node, hop, title: hop.node, href: `#/nodes/${encodeURIComponent(hop.node)}`, tone: nodes.has(hop.node) ? toneOf(nodes.get(hop.node)) : 'good',
    lines: [viewers(hop.viewers), hop.lag_us === null || hop.lag_us === undefined ? null : `lag ${lag(hop.lag_us)}`].filter(Boolean), children: [],
  }]));
  const owner = boxes.get(hops[0].node);
  for (const box of boxes.values()) {
    if (box === owner) continue;
    const parent = boxes.get(box.hop.upstream);
    (parent && parent !== box ? parent : owner).children.push(box);
  }
  const root = source ? { key: 'source', tone: 'good', children: [owner], ...source } : owner;
  const isTall = width < 620;
  const laid = layOut(root, isTall);
  const links = laid.flatMap((box) => box.children.map((child) => ({
    from: box, to: child, width: 1.5 + Math.min(4, Math.log2(1 + (child.hop?.viewers ?? 0))), label: hopLag(box, child) })));
  return picture(laid, links, isTall, 'Who pulls the stream from whom');
}

/* What this hop adds. Clocks are only known so well: it may come out below nothing. */
function hopLag(box, child) {
  if (!box.hop || !child.hop || typeof box.hop.lag_us !== 'number' || typeof child.hop.lag_us !== 'number') return null;
  return lag(Math.max(0, child.hop.lag_us - box.hop.lag_us));
}
