/* Pieces that every view is made of: icons, tables, dialogs, messages. */
import { h, s } from './dom.js';

/* --- icons: paths of 24 x 24, drawn as lines --- */

const ICONS = {
  overview: 'M3 12h4l3-8 4 16 3-8h4',
  streams: 'M4 6h16M4 12h16M4 18h10',
  nodes: 'M5 4h14v6H5zM5 14h14v6H5zM8 7h.01M8 17h.01',
  sessions: 'M16 19v-1a4 4 0 0 0-4-4H7a4 4 0 0 0-4 4v1M9.500 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6M21 19v-1a4 4 0 0 0-3-3.800M15.500 4.200a3 3 0 0 1 0 5.700',
  relays: 'M4 8h13l-3-3M20 16H7l3 3',
  records: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14M20 20l-4-4',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8M12 2v2M12 20v2M4.900 4.900l1.400 1.400M17.700 17.700l1.400 1.400M2 12h2M20 12h2M4.900 19.100l1.400-1.400M17.700 6.300l1.400-1.400',
  moon: 'M20 14.500A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500',
  logout: 'M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M9 8l-4 4 4 4M5 12h10',
  play: 'M7 4.500v15l12-7.500z',
  stop: 'M6 6h12v12H6z',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  plus: 'M12 5v14M5 12h14',
  next: 'M9 5l7 7-7 7',
  back: 'M15 5l-7 7 7 7',
  warn: 'M12 3 2 20h20zM12 10v4M12 17h.01',
  keys: 'M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8',
};

export function icon(name) {
  return s('svg', { viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true' }, s('path', { d: ICONS[name] }));
}

/* --- small things --- */

export const button = (text, onclick, { kind = '', glyph = null, title = null, disabled = false, key = null } = {}) =>
  h('button', { type: 'button', class: `button ${kind}`, onclick, title, disabled, 'data-key': key },
    glyph && icon(glyph), text && h('span', null, text));

const TONES = { active: 'good', running: 'good', live: 'good', connected: 'good', recording: 'good', writing: 'good', ok: 'good',
                draining: 'warn', starting: 'warn', suspect: 'warn', waiting: 'warn', connecting: 'warn', disconnected: 'warn',
                lapsed: 'bad', gone: 'bad', failed: 'bad', error: 'bad', no_room: 'bad', refused: 'bad' };

export const state_chip = (word) => h('span', { class: `chip ${TONES[word] ?? ''}` }, h('i', { class: 'dot' }), word);
export const chip = (word, kind = '') => h('span', { class: `chip ${kind}` }, word);

export function meter(share, label) {
  const width = Math.max(0, Math.min(100, share * 100));
  const tone = share > 0.9 ? 'bad' : share > 0.7 ? 'warn' : '';
  return h('span', { class: 'meter', title: label },
           h('span', { class: 'meter-bar' }, h('i', { class: tone, width_percent: width.toFixed(1) })),
           h('span', { class: 'meter-text' }, label));
}

export const card = (title, body, { actions = null, className = '', key = null } = {}) =>
  h('section', { class: `card ${className}`, 'data-key': key },
    (title || actions) && h('header', { class: 'card-head' }, h('h2', null, title), actions && h('div', { class: 'row' }, actions)),
    body);

export const empty = (text, hint = null) => h('div', { class: 'empty' }, h('p', null, text), hint && h('p', { class: 'hint' }, hint));

export const facts = (rows) => h('dl', { class: 'facts' },
  rows.filter(Boolean).map(([name, value]) => [h('dt', null, name), h('dd', null, value)]));

/* --- tables --- */

function arrows(event) {
  const rows = [...event.currentTarget.querySelectorAll('tbody tr')];
  const at = rows.indexOf(event.target.closest('tr'));
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (!step || at < 0 || event.target.closest('input, select')) return;
  const to = rows[at + step]?.querySelector('a, button');
  if (!to) return;
  event.preventDefault();
  to.focus();
}

/* columns: {key, title, cell(item), class, sort: may be sorted by}. sort: {key, down}. */
export function table({ columns, items, keyOf, sort = null, onSort = null, label, none }) {
  if (!items.length) return none ?? empty('Nothing here');
  const head = columns.map((c) => {
    const isBy = sort && sort.key === c.key;
    return h('th', { scope: 'col', class: c.class, 'aria-sort': isBy ? (sort.down ? 'descending' : 'ascending') : null },
             c.sort && onSort
               ? h('button', { type: 'button', class: 'sorter', onclick: () => onSort(c.key) }, c.title,
                   h('i', { class: isBy ? (sort.down ? 'down' : 'up') : '' }))
               : c.title);
  });
  return h('div', { class: 'table-wrap', tabindex: '-1' },
           h('table', { 'aria-label': label, onkeydown: arrows },
             h('thead', null, h('tr', null, head)),
             h('tbody', null, items.map((item) => h('tr', { 'data-key': keyOf(item) }, columns.map((c) =>
               h('td', { class: c.class, 'data-title': c.title }, c.cell(item))))))));
}

/* {page, pages, onPage}, counted from 0. */
export function pager({ page, pages, total, onPage }) {
  if (pages < 2) return null;
  return h('nav', { class: 'pager', 'aria-label': 'Pages' },
           button('', () => onPage(page - 1), { glyph: 'back', title: 'Page before', disabled: page === 0, kind: 'ghost' }),
           h('span', null, `Page ${page + 1} of ${pages}`, h('span', { class: 'muted' }, ` · ${total}`)),
           button('', () => onPage(page + 1), { glyph: 'next', title: 'Next page', disabled: page + 1 >= pages, kind: 'ghost' }));
}

/* --- messages --- */

export function toast(text, tone = '') {
  const el = h('div', { class: `toast ${tone}` }, text);
  document.getElementById('toasts').append(el);
  setTimeout(() => el.remove(), tone === 'bad' ? 9000 : 4000);
}

/* Does it, and says how it went. True when it worked. */
export async function attempt(text, action) {
  try {
    await action();
    toast(text, 'good');
    return true;
  } catch (e) {
    toast(e.message, 'bad');
    return false;
  }
}

/* --- dialogs --- */

function open(dialog) {
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue);
    }, { once: true });
    document.body.append(dialog);
    dialog.returnValue = '';
    dialog.showModal();
  });
}

/* True when it was confirmed. */
export async function confirm({ title, text, verb, kind = 'danger' }) {
  const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' });
  dialog.append(h('h2', { id: 'dialog-title' }, title), h('p', null, text), h('div', { class: 'row end' },
    button('Cancel', () => dialog.close(''), { kind: 'ghost' }),
    button(verb, () => dialog.close('yes'), { kind })));
  return (await open(dialog)) === 'yes';
}

function fieldOf(field) {
  const props = { name: field.name, id: `field-${field.name}`, required: field.required, placeholder: field.hint,
                  autocomplete: 'off', spellcheck: 'false' };
  const control = field.options
    ? h('select', props, field.options.map(([value, text]) => h('option', { value, selected: value === field.value }, text)))
    : h('input', { ...props, type: field.type ?? 'text', value: field.value ?? '' });
  return h('label', { for: props.id }, h('span', null, field.title), control, field.help && h('small', null, field.help));
}

/* The values by name; null: it was given up. submit(values) may throw: the dialog stays. */
export async function form({ title, fields, verb, submit }) {
  const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' });
  const problem = h('p', { class: 'problem', role: 'alert' });
  const onsubmit = async (event) => {
    event.preventDefault();
    problem.textContent = '';
    const values = Object.fromEntries([...event.target.elements].filter((e) => e.name).map((e) => [e.name, e.value.trim()]));
    try {
      await submit(values);
      dialog.close('yes');
    } catch (e) {
      problem.textContent = e.message;
    }
  };
  dialog.append(h('h2', { id: 'dialog-title' }, title), h('form', { onsubmit }, fields.map(fieldOf), problem,
    h('div', { class: 'row end' }, button('Cancel', () => dialog.close(''), { kind: 'ghost' }),
      h('button', { type: 'submit', class: 'button primary' }, verb))));
  return (await open(dialog)) === 'yes';
}

export function showDialog(title, body) {
  const dialog = h('dialog', { class: 'wide', 'aria-labelledby': 'dialog-title' });
  dialog.append(h('h2', { id: 'dialog-title' }, title), body,
                h('div', { class: 'row end' }, button('Close', () => dialog.close(''), { kind: 'ghost' })));
  return open(dialog);
}

/* A text with a button that copies it. */
export function copyable(text) {
  return h('span', { class: 'copyable' }, h('code', null, text), h('button', {
    type: 'button', class: 'button ghost small', title: 'Copy', 'aria-label': `Copy ${text}`,
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        toast('Copied', 'good');
      } catch {
        toast('The browser does not let pages copy here', 'bad'); // only over https, or on this machine
      }
    },
  }, icon('copy')));
}
