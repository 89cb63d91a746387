// dom.js: makes and changes elements. Keeps: text goes in as text.

import { narrow, number } from './text.js';

export const at = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function svg(tag, attributes, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Sets a text unless it is the same: then there is nothing to draw, or for a screen reader to say. */
export function say(target, text, title) {
  if (target.textContent !== text) target.textContent = text;
  if (title !== undefined && target.title !== title) target.title = title;
}

/** Sets a number; its short form where the whole one is wider than the box around it, and then the whole one as a title. */
export function sayNumber(target, value) {
  const whole = number(value);
  // All digits are of one width, so that this is measured only when another number of them, or of pixels, is there.
  const room = `${whole.length} ${innerWidth}`;
  if (target.room !== room) {
    say(target, whole);
    Object.assign(target, { room, isShort: target.offsetWidth > target.parentElement.clientWidth });
  }
  say(target, target.isShort ? narrow(value) : whole, target.isShort ? whole : '');
}
