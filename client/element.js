/* @ts-self-types="./element.d.ts" */
// element.js: <audience-meter>, which shows the number of viewers without a line of the page's own script:
//
//     <script type="module" src="http://YOUR-SERVER.COM/client/element.js"></script>
//     <audience-meter src="http://YOUR-SERVER.COM/my-event">–</audience-meter>
//
// Owns: the element. Its import defines it, where there are elements; on a server it does nothing.
// Does not know: how an event is joined, which is `audience.js`.
// Keeps: one Audience while the element is in a document and has an address, none otherwise. Its children are the page's,
// or a framework's, and are never touched: the number stands in the shadow root, in the place of the slot that shows them.

import { audience } from './audience.js';

/** `pausewhenhidden` is what React 18 makes of the property's name; `state` is shown anew when a page is morphed without it. */
const ATTRIBUTES = ['src', 'signer', 'shared', 'uuid', 'pause-when-hidden', 'pausewhenhidden', 'state'];

const PROPERTIES = ['src', 'signer', 'shared', 'uuid', 'pauseWhenHidden'];

/** An element that is in a document again within this time was moved, and has not left. */
const MOVE_MAX_MS = 1_000;

/** `<audience-meter src="...">` shows the total; its children stand there until the first count. */
export class AudienceMeterElement extends (globalThis.customElements ? HTMLElement : Object) {
  static observedAttributes = ATTRIBUTES;

  /** The Audience that is shown, null without an address and outside of a document. */
  audience = null;

  #joined = '';
  /** Leaves, unless the element is in a document before. */
  #leaving = null;
  #slot;

  constructor() {
    super();
    this.#slot = document.createElement('slot');
    this.attachShadow({ mode: 'open' }).appendChild(this.#slot);
  }

  /** The address of the event; without it, or with an empty one, nothing is joined. */
  get src() {
    return this.getAttribute('src') ?? '';
  }

  set src(value) {
    this.#reflect('src', value ?? false);
  }

  /** The page of the site that answers with the address of the event, one that it has signed; with one, `src` has no effect. */
  get signer() {
    return this.getAttribute('signer') ?? '';
  }

  set signer(value) {
    this.#reflect('signer', value ?? false);
  }

  get shared() {
    return this.#isOn('shared');
  }

  set shared(value) {
    this.#reflect('shared', value);
  }

  /** `true` is a random id of the browser, a string is that id. */
  get uuid() {
    return this.#isOn('uuid') && (!/^(true)?$/.test(this.getAttribute('uuid')) ? this.getAttribute('uuid') : true);
  }

  set uuid(value) {
    this.#reflect('uuid', value);
  }

  get pauseWhenHidden() {
    return this.#isOn('pause-when-hidden') || this.#isOn('pausewhenhidden');
  }

  set pauseWhenHidden(value) {
    this.removeAttribute('pausewhenhidden');
    this.#reflect('pause-when-hidden', value);
  }

  connectedCallback() {
    clearTimeout(this.#leaving);
    PROPERTIES.forEach((name) => { // what a page has set before the element was defined
      if (!Object.prototype.hasOwnProperty.call(this, name)) return;
      const value = this[name];
      delete this[name];
      this[name] = value;
    });
    this.#update();
  }

  disconnectedCallback() {
    clearTimeout(this.#leaving);
    this.#leaving = setTimeout(() => this.#leave(), MOVE_MAX_MS);
  }

  attributeChangedCallback() {
    this.#update();
  }

  /** Once for all that a script changes in one go. */
  #update() {
    Promise.resolve().then(() => this.#settle());
  }

  #settle() {
    if (!this.isConnected) return;
    const { src, signer, shared, uuid, pauseWhenHidden } = this;
    const wanted = (src || signer) && [src, signer, shared, uuid, pauseWhenHidden].join('\n');
    if (wanted === this.#joined) return this.#showState();
    this.#leave();
    this.#joined = wanted;
    if (wanted) this.#join();
  }

  #leave() {
    this.#joined = '';
    this.audience?.close();
    this.audience = null;
    this.#show(this.#slot);
  }

  #join() {
    const { uuid, pauseWhenHidden } = this;
    const signer = addressOf(this.signer, this.baseURI);
    const member = audience(signer ? askerOf(signer) : this.signer || this.src, {
      shared: this.shared && (signer || true), uuid, pauseWhenHidden,
    });
    this.audience = member;
    member.onCount((total) => this.#show(document.createTextNode(inLanguageOf(this, total))));
    this.#showState();
    member.addEventListener('state', () => this.#showState(member));
    ['count', 'message', 'error'].forEach((type) => member.addEventListener(type, ({ detail }) => {
      this.dispatchEvent(new CustomEvent(type, { detail }));
    }));
  }

  #showState(member = this.audience) {
    if (member && this.getAttribute('state') !== member.state) this.setAttribute('state', member.state);
  }

  #show(node) {
    if (this.shadowRoot.firstChild !== node) this.shadowRoot.replaceChild(node, this.shadowRoot.firstChild);
  }

  /** Frameworks write the value of a property into an attribute, `false` too. */
  #isOn(name) {
    return (this.getAttribute(name) ?? 'false') !== 'false';
  }

  #reflect(name, value) {
    if (value === false || value == null || value === 'false') this.removeAttribute(name);
    else this.setAttribute(name, value === true ? '' : value);
  }
}

/** The whole address; nothing where there is none. */
function addressOf(text, base) {
  try {
    return text && new URL(text, base).href;
  } catch {
    return '';
  }
}

const askers = {};

/** The function that asks a page of the site for the address of the event: the same for all that ask this page. */
function askerOf(signer) {
  return askers[signer] ??= (uuid) => {
    const page = new URL(signer);
    if (uuid) page.searchParams.set('uuid', uuid);
    return fetch(page, { cache: 'no-store' }).then((reply) => (reply.ok ? reply.text() : Promise.reject(reply)));
  };
}

/** The number as the text around the element writes it, or else as the browser does. */
function inLanguageOf(element, total) {
  let part = element;
  while (part && !part.closest('[lang]')) part = part.getRootNode().host;
  try {
    return total.toLocaleString(part?.closest('[lang]').lang || undefined);
  } catch { // what is no name of a language
    return total.toLocaleString();
  }
}

if (globalThis.customElements && !customElements.get('audience-meter')) {
  customElements.define('audience-meter', AudienceMeterElement);
}
