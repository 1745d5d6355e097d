/* Lines over time, as SVG: an hour of samples, or what the page has seen. */
import { h, s } from './dom.js';

const HEIGHT = 180;
const PAD = { top: 10, right: 12, bottom: 22, left: 64 };

/* A round number at or above the value, whose half is round, too. */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((n) => n * power).find((n) => n >= value);
}

function path(points) {
  return points.map(([x, y], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
}

function ago(ms) {
  if (ms < 1000) return 'now';
  const min = ms / 60000;
  return min < 1 ? `-${Math.round(ms / 1000)} s` : `-${Number(min.toFixed(min < 5 ? 1 : 0))} min`;
}

/* A line without axes, for tiles. */
export function sparkline(values) {
  const n = Math.max(values.length, 2);
  const top = Math.max(...values, 1);
  const points = values.map((v, i) => [(i / (n - 1)) * 100, 27 - (v / top) * 24]);
  return s('svg', { class: 'spark', viewBox: '0 0 100 28', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
           points.length > 1 && s('path', { class: 'area', d: `${path(points)}L100 28L0 28Z` }),
           points.length > 1 && s('path', { class: 'line', d: path(points) }));
}

/* Returns {el, set({series: [{name, tone, values}], step_ms, format, least})}, least: the least that the height
 * stands for. It draws itself anew when its
 * width changes. span_ms: what the whole width stands for. */
export function chart({ label, span_ms }) {
  const el = h('div', { class: 'chart', role: 'img', 'aria-label': label });
  const svg = s('svg', { height: HEIGHT });
  const tip = h('div', { class: 'tip', hidden: true });
  const legend = h('div', { class: 'legend' });
  el.append(legend, svg, tip);
  let shown = { series: [], step_ms: 5000, format: String, least: 1 };
  let scale = null;

  function draw() {
    const width = el.clientWidth;
    if (!width) return;
    const { series, step_ms, format, least = 1 } = shown;
    const inner = { w: width - PAD.left - PAD.right, h: HEIGHT - PAD.top - PAD.bottom };
    const top = ceiling(Math.max(least, ...series.flatMap((one) => one.values)));
    const x = (age) => PAD.left + inner.w * (1 - age / span_ms);
    const y = (v) => PAD.top + inner.h * (1 - v / top);
    scale = { x, y, inner };
    svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    svg.setAttribute('width', width);
    svg.replaceChildren();
    for (const share of [0, 0.5, 1]) {
      svg.append(s('line', { class: 'grid', x1: PAD.left, x2: width - PAD.right, y1: y(top * share), y2: y(top * share) }),
                 s('text', { class: 'axis', x: PAD.left - 8, y: y(top * share) + 4, 'text-anchor': 'end' }, format(top * share)));
    }
    for (const share of [1, 0.5, 0])
      svg.append(s('text', { class: 'axis', x: x(span_ms * share), y: HEIGHT - 6, 'text-anchor': share === 1 ? 'start' : share ? 'middle' : 'end' },
                   ago(span_ms * share)));
    for (const one of series) {
      const points = one.values.map((v, i) => [x((one.values.length - 1 - i) * step_ms), y(v)])
        .filter(([at]) => at >= PAD.left - 1);
      if (points.length < 2) continue;
      svg.append(s('path', { class: `area ${one.tone}`, d: `${path(points)}L${points.at(-1)[0].toFixed(1)} ${y(0)}L${points[0][0].toFixed(1)} ${y(0)}Z` }),
                 s('path', { class: `line ${one.tone}`, d: path(points) }));
    }
    legend.replaceChildren(...series.map((one) => h('span', null, h('i', { class: `swatch ${one.tone}` }), one.name,
      h('b', null, one.values.length ? format(one.values.at(-1)) : '–'))));
  }

  svg.addEventListener('pointermove', (event) => {
    if (!scale || !shown.series.length) return;
    const box = svg.getBoundingClientRect();
    const share = (event.clientX - box.left - PAD.left) / scale.inner.w;
    const back = Math.round(((1 - share) * span_ms) / shown.step_ms);
    const rows = shown.series.map((one) => [one, one.values[one.values.length - 1 - back]]);
    tip.hidden = share < 0 || share > 1 || rows.every(([, v]) => v === undefined);
    if (tip.hidden) return;
    tip.replaceChildren(h('div', { class: 'muted' }, ago(back * shown.step_ms)), ...rows.filter(([, v]) => v !== undefined)
      .map(([one, v]) => h('div', null, h('i', { class: `swatch ${one.tone}` }), `${one.name} `, h('b', null, shown.format(v)))));
    const left = event.clientX - box.left;
    tip.style.left = `${left > box.width / 2 ? left - tip.offsetWidth - 14 : left + 14}px`;
    svg.querySelector('.cross')?.remove();
    const at = scale.x(back * shown.step_ms);
    svg.append(s('line', { class: 'cross', x1: at, x2: at, y1: PAD.top, y2: HEIGHT - PAD.bottom }));
  });
  svg.addEventListener('pointerleave', () => {
    tip.hidden = true;
    svg.querySelector('.cross')?.remove();
  });
  new ResizeObserver(draw).observe(el);
  return { el, set(next) { shown = next; draw(); } };
}

/* What the page has seen of one figure, from its values or from a counter that grows. */
export class Seen {
  constructor(max) {
    this.max = max;
    this.values = [];
    this.before = null;
  }

  add(value) {
    this.values.push(value);
    if (this.values.length > this.max) this.values.shift();
  }

  /* bytes so far: the rate since the last time. null when there is none yet. */
  addBytes(bytes, now_ms) {
    const before = this.before;
    if (before && now_ms - before.now_ms < 400) return this.values.at(-1) ?? null;
    this.before = { bytes, now_ms };
    if (!before || bytes < before.bytes) return null;
    this.add(((bytes - before.bytes) * 8000) / (now_ms - before.now_ms));
    return this.values.at(-1);
  }
}
