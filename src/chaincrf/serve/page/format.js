// Small things that every view needs.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function shape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A probability: 98.5 %, and never 100 % or 0 % for what is neither. */
export function percent(p) {
  if (p > 0 && p < 0.001) return "< 0.1 %";
  if (p < 1 && p > 0.999) return "> 99.9 %";
  return `${(100 * p).toFixed(p >= 0.1 ? 0 : 1).replace(/\.0$/, "")} %`;
}

/** A score; null is minus infinity. */
export const score = (value) => (value === null ? "−∞" : value.toFixed(2).replace("-", "−"));

/** The label of a tag: what follows the prefix, where there is a scheme. */
export const labelOf = (tag, model) => (model.scheme === null ? tag : tag.slice(tag.indexOf("-") + 1));

/** The class that colours a label; O has none. */
export function colour(label, model) {
  const place = model.labels.indexOf(label);
  return place < 0 ? "no-label" : `label-${place % 8}`;
}

/** Softmax of scores, the tags that are not allowed left out. */
export function softmax(scores, allowed) {
  const open = scores.map((value, j) => (allowed[j] && value !== null ? value : -Infinity));
  const most = Math.max(...open);
  const weights = open.map((value) => (value === -Infinity ? 0 : Math.exp(value - most)));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}
