// audience.js: joins an event of an Audience Meter and tells how many are there. An ES module, no build step:
//
//     import { audience } from 'http://YOUR-SERVER.COM/client/audience.js';
//     const event = audience('http://YOUR-SERVER.COM/my-event');
//     event.onCount((total) => { document.getElementById('total').textContent = total; });
//
// Owns: one EventSource per Audience, the meaning of its lines, and when to come back after it was lost.
// Does not know: the page (it touches no element), other tabs, browsers without EventSource (jquery.audience.js does).
// Keeps: at most one stream open per Audience, and none at all, for good, after its state became 'closed'.

/** The first wait after a failure is drawn from 0 to this, on top of the floor; each further failure doubles it. */
const BACKOFF_MS = 1_000;

/** ... up to this: after an outage of any length all are back within floor + 30 s, and not in the same second. */
const BACKOFF_MAX_MS = 30_000;

/** The longest `retry:` that a daemon sends. A longer gap between two attempts is a computer that slept. */
const RETRY_MAX_MS = 60_000;

/** How long the daemon may take to say whether it has sent this page away. */
const ANSWER_MAX_MS = 10_000;

/**
 * Joins the event at `url`, which is `http://host/namespace` or, for a daemon with --enable-uuid,
 * `http://host/namespace/uuid`. Throws a TypeError when `url` is no URL.
 *
 * @param {string | URL} url
 * @param {{backoffMs?: number, backoffMaxMs?: number}} [options] the random part of the wait between two attempts
 * @returns {Audience}
 */
export function audience(url, options) {
  return new Audience(url, options);
}

/**
 * A membership of one event. Its events:
 *   open     counted in: the first count after joining, or after coming back, has arrived
 *   count    `detail` is the total, a number; told again now and then even when it is the same
 *   message  `detail` is {service, text}, both as they were sent: percent-encoding is not undone
 *   error    `detail` is {message, final}; when `final`, it does not come back
 */
export class Audience extends EventTarget {
  /** The last total told, null before the first. @type {number | null} */
  total = null;

  /** @type {'connecting' | 'open' | 'closed'} */
  state = 'connecting';

  #url;
  #backoffMs;
  #backoffMaxMs;
  /** Null while waiting to come back, and while the page is in the back/forward cache. @type {EventSource | null} */
  #source = null;
  /** This source got a head of a stream at some time: only then may the browser know a `retry:` and a last id. */
  #known = false;
  /** This source's latest attempt got one. */
  #answered = false;
  #firstAttempt = true;
  #failures = 0;
  #lostAt = 0;
  #floorMs = 0;
  #timer;

  constructor(url, { backoffMs = BACKOFF_MS, backoffMaxMs = BACKOFF_MAX_MS } = {}) {
    super();
    this.#url = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
    this.#backoffMs = backoffMs;
    this.#backoffMaxMs = backoffMaxMs;
    globalThis.addEventListener('pagehide', this.#hide);
    globalThis.addEventListener('pageshow', this.#show);
    this.#connect();
  }

  /** Calls back with each total. Returns a function that ends this. */
  onCount(callback) {
    return this.#on('count', callback);
  }

  /** Calls back with each {service, text}. Returns a function that ends this. */
  onMessage(callback) {
    return this.#on('message', callback);
  }

  /** Leaves the event, for good. */
  close() {
    this.state = 'closed';
    this.#disconnect();
    globalThis.removeEventListener('pagehide', this.#hide);
    globalThis.removeEventListener('pageshow', this.#show);
  }

  #connect() {
    const source = new EventSource(this.#url);
    this.#source = source;
    this.#known = this.#answered = false;
    source.onopen = () => { this.#known = this.#answered = true; };
    source.onmessage = ({ data }) => this.#receive(data);
    source.onerror = () => this.#lose(source);
  }

  #disconnect() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  // A left page may be kept alive in the back/forward cache, and its stream with it: Chromium would have it counted
  // for another minute. Closing here counts it out at once; the page that is shown again joins again.
  #hide = () => {
    this.state = 'connecting';
    this.#disconnect();
  };

  #show = ({ persisted }) => {
    if (persisted) this.#connect();
  };

  #receive(data) {
    this.#failures = 0;
    const [, count, service, text] = /^(?:(\d+)|([^=]+)=([^]*))$/.exec(data) ?? [];
    if (this.state !== 'open') {
      this.state = 'open';
      this.#emit('open');
    }
    if (count !== undefined) {
      this.total = Number(count);
      this.#emit('count', this.total);
    } else if (service !== undefined) {
      this.#emit('message', { service, text });
    } else {
      this.#fail(`${this.#url} sent what is neither a count nor a message: ${data}`);
    }
  }

  // Three ways back, by who knows best when. A stream that ends is left to the browser: it alone has read `retry:`,
  // and it sends the Last-Event-ID by which the daemon knows whom it has sent away. When nobody answers, the browser
  // would knock at the same pace for ever, so the page takes over with growing waits, never shorter than the
  // browser's last one. A status other than 200 closes an EventSource for good, so the page has to come back itself.
  async #lose(source) {
    const first = this.#firstAttempt && !this.#known;
    const closed = source.readyState === EventSource.CLOSED;
    const now = performance.now();
    const gapMs = now - this.#lostAt;
    this.#lostAt = now;
    this.#firstAttempt = false;
    this.state = 'connecting';
    if (closed && first) {
      return this.#end(`${this.#url} is no event to join: no event stream there, or this page's origin is not allowed`);
    }
    if (closed && this.#known && this.#hasUuid()) {
      const sentAway = await this.#sentAway();
      if (this.#source !== source) return; // left meanwhile
      if (sentAway) return this.#end(`${this.#url} was joined anew elsewhere`);
    }
    if (!closed && this.#answered) {
      this.#answered = false;
      return this.#fail(`${this.#url} was lost, coming back`);
    }
    if (this.#known) this.#floorMs = Math.min(gapMs, RETRY_MAX_MS);
    this.#disconnect();
    this.#timer = setTimeout(() => this.#connect(), this.#waitMs());
    this.#fail(`${this.#url} does not answer, trying again`);
  }

  /** Full jitter: those who were cut off together do not come back together. */
  #waitMs() {
    const spanMs = Math.min(this.#backoffMs * 2 ** this.#failures, this.#backoffMaxMs);
    this.#failures += 1;
    return this.#floorMs + Math.random() * spanMs;
  }

  // A uuid that joined elsewhere ends this page's stream, and its return with a 204. The page sees neither the id nor
  // the status, and a proxy's 502 while its daemon restarts looks the same. So it asks: a join with the farewell's id
  // counts nobody and is answered 204, by a daemon.
  async #sentAway() {
    const headers = { Accept: 'text/event-stream', 'Last-Event-ID': 'farewell' };
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), ANSWER_MAX_MS);
    try {
      return (await fetch(this.#url, { headers, credentials: 'omit', signal: late.signal })).status === 204;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
      late.abort();
    }
  }

  #hasUuid() {
    return /^\/[^/]+\/[^/]+$/.test(new URL(this.#url).pathname);
  }

  #on(type, callback) {
    const listener = ({ detail }) => callback(detail);
    this.addEventListener(type, listener);
    return () => this.removeEventListener(type, listener);
  }

  #end(message) {
    this.close();
    this.#fail(message, true);
  }

  #fail(message, final = false) {
    this.#emit('error', { message, final });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
