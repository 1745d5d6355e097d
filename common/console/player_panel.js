/* The player of a stream's page: others' code, in a frame without origin (player.html). Nothing of it is
 * loaded before somebody presses play. */
import { isCluster } from './api.js';
import { h, patch } from './dom.js';
import { encodeName } from './api.js';
import { button, chip, icon } from './ui.js';

const KINDS = [['flv', 'HTTP-FLV', 'flv'], ['ts', 'HTTP-TS', 'ts'], ['hls', 'HLS', 'm3u8']];

export class Player {
  constructor(name) {
    this.name = name;
    this.kind = 'flv';
    this.base = '';
    this.bases = [];
    this.query = '';
    this.frame = null;
    this.told = null;
    this.screen = h('div', { class: 'screen' });
    this.controls = h('div', { class: 'row player-controls' });
    this.el = h('div', { class: 'player' }, this.screen, this.controls);
    this.hear = (event) => {
      if (this.frame && event.source === this.frame.contentWindow) this.onTold(event.data);
    };
    window.addEventListener('message', this.hear);
    this.rest();
    this.draw();
  }

  /* Where it can be played from: as everybody does, or at one of its nodes. */
  know(tree, nodes) {
    const bases = isCluster() ? [['Best edge, as viewers', location.origin]] : [];
    for (const hop of tree.hops) {
      const node = nodes.get(hop.node);
      const base = location.protocol === 'https:' ? node?.public.https : node?.public.http;
      if (base) bases.push([hop.node, base]);
    }
    if (JSON.stringify(bases) === JSON.stringify(this.bases)) return;
    this.bases = bases;
    if (!bases.some(([, base]) => base === this.base)) this.base = bases[0]?.[1] ?? '';
    this.draw();
  }

  url(suffix, base = this.base) {
    return `${base}/${encodeName(this.name)}.${suffix}${this.query ? `?${this.query.replace(/^\?/, '')}` : ''}`;
  }

  /* What viewers need, by kind. */
  addresses() {
    if (!this.bases.length) return [];
    const base = this.bases[0][1];
    return KINDS.map(([, title, suffix]) => [title, `${base}/${encodeName(this.name)}.${suffix}`]);
  }

  rest() {
    this.screen.replaceChildren(h('button', { type: 'button', class: 'big-play', 'aria-label': 'Play', onclick: () => this.play() }, icon('play')));
  }

  play() {
    const [, , suffix] = KINDS.find(([kind]) => kind === this.kind);
    const url = this.url(suffix);
    this.onTold({ state: 'loading' });
    this.frame = h('iframe', { src: '/console/player.html', sandbox: 'allow-scripts', allow: 'autoplay; fullscreen', title: 'Player' });
    this.frame.addEventListener('load', () => this.frame?.contentWindow.postMessage({ kind: this.kind, url }, '*')); // it has no origin to name
    this.screen.replaceChildren(this.frame);
    this.draw();
  }

  halt() {
    this.frame = null;
    this.told = null;
    this.rest();
    this.draw();
  }

  onTold(told) {
    if (typeof told !== 'object' || told === null) return;
    this.told = told;
    this.el.dataset.state = String(told.state);
    this.el.dataset.frames = String(told.frames ?? 0);
    this.draw();
  }

  again(change) {
    change();
    if (this.frame) this.play();
    else this.draw();
  }

  facts() {
    const t = this.told;
    if (!t) return null;
    if (t.state === 'error') return h('p', { class: 'problem' }, String(t.text));
    const size = t.width ? `${Number(t.width)}×${Number(t.height)}` : null;
    return h('div', { class: 'row' }, chip(String(t.state), t.state === 'playing' ? 'good' : ''), size && chip(size),
             t.fps > 0 && chip(`${Number(t.fps).toFixed(0)} fps`), t.behind_s > 0 && chip(`buffer ${Number(t.behind_s).toFixed(1)} s`),
             t.dropped > 0 && chip(`${Number(t.dropped)} dropped`, 'warn'));
  }

  draw() {
    patch(this.controls, [
      this.frame ? button('Stop', () => this.halt(), { glyph: 'stop', key: 'stop' }) : button('Play', () => this.play(), { glyph: 'play', kind: 'primary', key: 'play', disabled: !this.base }),
      h('select', { 'aria-label': 'Format', 'data-key': 'kind', onchange: (e) => this.again(() => { this.kind = e.target.value; }) },
        KINDS.map(([kind, title]) => h('option', { value: kind, selected: kind === this.kind }, title))),
      h('select', { 'aria-label': 'From', 'data-key': `from ${this.bases.length}`, onchange: (e) => this.again(() => { this.base = e.target.value; }) },
        this.bases.map(([title, base]) => h('option', { value: base, selected: base === this.base }, title))),
      h('input', { type: 'text', 'data-key': 'query', placeholder: 'token=…', 'aria-label': 'Query of the URL, where playing needs one', spellcheck: 'false', autocomplete: 'off',
                   onchange: (e) => this.again(() => { this.query = e.target.value.trim(); }) }),
      this.facts(),
    ]);
  }

  close() {
    window.removeEventListener('message', this.hear);
    this.halt();
  }
}
