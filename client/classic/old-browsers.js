// Stand-ins for what browsers without ES modules may lack, put into both classic scripts by their build: wherever the
// core says EventSource, EventTarget, CustomEvent, URL or fetch, these are meant. Nothing of the page's own is touched.
//
// Owns: the event stream over XMLHttpRequest, for IE 10 and 11 and old Android. Does not know the core.

/** A response is cut and asked for anew when this much of it has come: an XMLHttpRequest keeps all of it. */
const RESPONSE_MAX = 64 * 1024;

/** The wait before coming back, until the server says `retry:`. */
const RETRY_MS = 3_000;

/** As much of an EventSource as the core uses. It comes back as a browser's does: see the HTML standard, section 9.2. */
class XhrEventSource {
  onopen;
  onmessage;
  onerror;
  readyState = 0;

  #url;
  #xhr;
  #timer;
  #retryMs = RETRY_MS;
  #lastId = '';

  constructor(url) {
    this.#url = url;
    this.#request();
  }

  close() {
    this.readyState = 2;
    clearTimeout(this.#timer);
    this.#cut();
  }

  /** POST as in 2011: caches and old proxies let it be. */
  #request() {
    const xhr = new XMLHttpRequest();
    let accepted = false;
    let offset = 0; // of the first line not read yet
    const read = () => {
      if (xhr.readyState < 3) return;
      if (!accepted && xhr.status === 200 && /^text\/event-stream/.test(xhr.getResponseHeader('Content-Type'))) {
        accepted = true;
        this.#open();
      }
      if (accepted) offset = this.#readLines(xhr, offset);
      if (xhr !== this.#xhr) return; // closed, by what a line led the page to do
      if (xhr.readyState === 4) this.#end(accepted || xhr.status === 0);
      else if (offset > RESPONSE_MAX) this.#renew();
    };
    this.#xhr = xhr;
    xhr.open('POST', this.#url, true);
    xhr.setRequestHeader('Accept', 'text/event-stream');
    if (this.#lastId) xhr.setRequestHeader('Last-Event-ID', this.#lastId);
    xhr.onprogress = xhr.onreadystatechange = read;
    xhr.send();
  }

  #open() {
    if (this.readyState === 1) return; // renewed: the page need not know
    this.readyState = 1;
    this.onopen({});
  }

  #readLines(xhr, from) {
    const text = xhr.responseText;
    let offset = from;
    let end;
    while (xhr === this.#xhr && (end = text.indexOf('\n', offset)) !== -1) {
      const field = /^(data|retry|id): ?(.*?)\r?$/.exec(text.substring(offset, end)) || [];
      offset = end + 1;
      if (field[1] === 'data') this.onmessage({ data: field[2], lastEventId: this.#lastId });
      else if (field[1] === 'id') this.#lastId = field[2];
      else if (/^\d+$/.test(field[2])) this.#retryMs = Number(field[2]);
    }
    return offset;
  }

  /** The leave and the join go out together: mostly they cancel each other before a count is pushed. */
  #renew() {
    this.#cut();
    this.#request();
  }

  #end(mayComeBack) {
    this.#cut();
    this.readyState = mayComeBack ? 0 : 2;
    this.onerror({});
    if (this.readyState === 0) this.#timer = setTimeout(() => this.#request(), this.#retryMs);
  }

  #cut() {
    const xhr = this.#xhr;
    if (!xhr) return;
    this.#xhr = xhr.onprogress = xhr.onreadystatechange = null;
    xhr.abort();
  }
}

/** As much of an EventTarget as the core uses, where there is none to be extended. */
class PlainEventTarget {
  #listeners = {};

  addEventListener(type, listener) {
    this.removeEventListener(type, listener);
    this.#listeners[type] = (this.#listeners[type] || []).concat(listener);
  }

  removeEventListener(type, listener) {
    this.#listeners[type] = (this.#listeners[type] || []).filter((other) => other !== listener);
  }

  dispatchEvent(event) {
    (this.#listeners[event.type] || []).forEach((listener) => {
      try {
        listener.call(this, event);
      } catch (error) {
        setTimeout(() => { throw error; }); // as an EventTarget does: the page gets the error, and the other listeners run all the same
      }
    });
  }
}

class PlainEvent {
  constructor(type, { detail }) {
    this.type = type;
    this.detail = detail;
  }
}

/** A link resolves an address as the page would. It does not judge it. */
class LinkUrl {
  constructor(url) {
    const link = document.createElement('a');
    link.href = url;
    link.href = link.href; // eslint-disable-line no-self-assign -- or IE leaves the rest as it was written
    this.href = link.href;
    this.protocol = link.protocol;
    this.hostname = link.hostname;
  }
}

/** The time that a server may take to answer. */
const ANSWER_MAX_MS = 10_000;

/** As much of a fetch as the core uses: the head of an answer. What a page may not read does not come through. */
function xhrFetch(url, { method, headers }) {
  return {
    then(succeed, fail) {
      const xhr = new XMLHttpRequest();
      xhr.onreadystatechange = () => {
        if (xhr.readyState !== 4) return;
        if (xhr.status) succeed({ status: xhr.status, headers: { get: (name) => xhr.getResponseHeader(name) } });
        else fail();
      };
      xhr.open(method, url, true);
      xhr.timeout = ANSWER_MAX_MS;
      for (const name in headers) xhr.setRequestHeader(name, headers[name]);
      xhr.send();
    },
  };
}

function works(construct) {
  try {
    return Boolean(construct());
  } catch {
    return false;
  }
}

const hasEvents = works(() => new globalThis.EventTarget() && new globalThis.CustomEvent('test'));
const BestEventSource = globalThis.EventSource || XhrEventSource;
const BestEventTarget = hasEvents ? globalThis.EventTarget : PlainEventTarget;
const BestCustomEvent = hasEvents ? globalThis.CustomEvent : PlainEvent;
const bestFetch = globalThis.fetch || xhrFetch;
const BestURL = works(() => new globalThis.URL('http://h/')) ? globalThis.URL : LinkUrl;

export {
  BestEventSource as EventSource, BestEventTarget as EventTarget, BestCustomEvent as CustomEvent, BestURL as URL,
  bestFetch as fetch,
};

/** Where there are no custom elements, those that the document has once it is there show their total all the same. */
export function fillElements(audience) {
  if (globalThis.customElements) return;
  const fill = () => {
    const elements = document.querySelectorAll('audience-meter[src]');
    for (let i = 0; i < elements.length; i += 1) {
      const element = elements[i];
      const uuid = element.getAttribute('uuid');
      audience(element.getAttribute('src'), {
        uuid: uuid === '' || uuid === 'true' || (uuid !== 'false' && uuid),
        pauseWhenHidden: element.hasAttribute('pause-when-hidden') && element.getAttribute('pause-when-hidden') !== 'false',
      }).onCount((total) => { element.textContent = total.toLocaleString(); });
    }
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', fill);
  else fill();
}
