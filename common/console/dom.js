/* The DOM by functions. Texts are only ever set as text: names of streams are chosen by strangers. */

const SVG = 'http://www.w3.org/2000/svg';

function append(el, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    el.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

function listen(el, type, handler) {
  if (!el.handlers) el.handlers = {};
  if (!(type in el.handlers)) el.addEventListener(type, dispatch);
  el.handlers[type] = handler;
}

/* One listener a type, so that patch() can give an element another handler. */
function dispatch(event) {
  const handler = this.handlers[event.type];
  if (handler) handler.call(this, event);
}

function make(el, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) listen(el, key.slice(2), value);
    else if (key === 'value') el.value = value;
    else if (key === 'width_percent') el.style.width = `${value}%`; // the policy forbids style attributes
    else el.setAttribute(key, value === true ? '' : value);
  }
  append(el, children);
  return el;
}

/* h('a', {href, class, onclick}, 'text', [more]) */
export function h(tag, props, ...children) {
  return make(document.createElement(tag), props, children);
}

export function s(tag, props, ...children) {
  return make(document.createElementNS(SVG, tag), props, children);
}

/* A place for an element that lives on by itself, as a frame or a chart: made anew with each drawing, it
 * gets the element when it is first put into the page. An element that is itself moved would begin anew. */
export function keep(key, el) {
  const place = h('div', { class: 'kept', 'data-keep': true, 'data-key': key });
  place.kept = el;
  return place;
}

function fill(node) {
  if (node.kept) node.append(node.kept);
  if (node.nodeType === Node.ELEMENT_NODE)
    for (const place of node.querySelectorAll('.kept')) if (place.kept) place.append(place.kept);
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute('data-key') : null);

function canBecome(from, to) {
  return from.nodeType === to.nodeType && from.nodeName === to.nodeName && keyOf(from) === keyOf(to);
}

function become(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  if (from.hasAttribute('data-keep')) return;
  for (const { name } of [...from.attributes])
    if (!to.hasAttribute(name) && name !== 'open' && name !== 'style') from.removeAttribute(name);
  for (const { name, value } of to.attributes)
    if (name !== 'style' && from.getAttribute(name) !== value) from.setAttribute(name, value);
  if (from.style && to.style && from.style.width !== to.style.width) from.style.width = to.style.width;
  for (const type of Object.keys(from.handlers ?? {}))
    if (!to.handlers?.[type]) from.handlers[type] = null;
  for (const [type, handler] of Object.entries(to.handlers ?? {})) listen(from, type, handler);
  if (from.nodeName === 'SELECT' || from.nodeName === 'INPUT') return; // what is being typed stays
  patch(from, [...to.childNodes]);
}

/* Makes the children of el what they ought to be with as few changes as that takes, so that focus,
 * selection and scrolling stay. Elements with data-keep are left as they are; data-key says which is
 * which among brothers. */
export function patch(el, wanted) {
  const nodes = wanted.flat(Infinity).filter((n) => n !== null && n !== undefined && n !== false)
    .map((n) => (n instanceof Node ? n : document.createTextNode(String(n))));
  const byKey = new Map();
  for (const child of el.childNodes) if (keyOf(child)) byKey.set(keyOf(child), child);
  let at = el.firstChild;
  for (const node of nodes) {
    const known = keyOf(node) ? byKey.get(keyOf(node)) : null;
    if (known && known !== at && canBecome(known, node)) {
      el.insertBefore(known, at);
      become(known, node);
    } else if (at && canBecome(at, node)) {
      const next = at.nextSibling;
      become(at, node);
      at = next;
    } else {
      el.insertBefore(node, at);
      fill(node);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}
