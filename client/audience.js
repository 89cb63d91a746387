// audience.js: joins an event of an Audience Meter and gives the number of viewers. An ES module, no build step:
//
//     import { audience } from 'http://YOUR-SERVER.COM/client/audience.js';
//     const event = audience('http://YOUR-SERVER.COM/my-event');
//     event.onCount((total) => { document.getElementById('total').textContent = total; });
//
// or, without a line of your own script, by the element that it defines:
//
//     <script type="module" src="http://YOUR-SERVER.COM/client/audience.js"></script>
//     <audience-meter src="http://YOUR-SERVER.COM/my-event">–</audience-meter>
//
// Three classes, each knows the next: Audience (what a page sees), Shared (one stream for all tabs), Stream (one
// EventSource, and when to come back after it was lost). The maker of one of the last two is its `listener`, with
//   isNew()               whether no count has ever arrived: only then may its address be wrong
//   receive(data)         for each line of the stream
//   lose(message, final)  for each interruption; `final` when it will not come back
//
// Does not know: browsers without EventSource. `classic/` builds scripts for them out of this file.
// Keeps: at most one stream open per Audience, none while the page is away, and none for good once it is closed.

/** The first wait after a failure is drawn from 0 to this, on top of the floor; each further failure doubles it. */
const BACKOFF_MS = 1_000;

/** ... up to this: after an outage of any length all are back within floor + 30 s, and not in the same second. */
const BACKOFF_MAX_MS = 30_000;

/** The longest `retry:` that a daemon sends. A longer gap between two attempts is a computer that slept. */
const RETRY_MAX_MS = 60_000;

/** Three times the delay after which a daemon repeats its count (`--notify-max-delay`, 25 s). */
const SILENCE_MS = 75_000;

/** The time that a server may take to say why it refuses the stream. */
const REASON_MAX_MS = 10_000;

/** The time in which the tab that holds the stream has to answer; past it, the asking tab takes the stream over. */
const ANSWER_MAX_MS = 2_000;

/** `readyState` of an EventSource that does not come back by itself. */
const CLOSED = 2;

/**
 * Joins the event at `url`, which is `http://host/namespace` or, for a daemon with --enable-uuid,
 * `http://host/namespace/uuid`. Failures go to `onError`; nothing is thrown. Options: audience.d.ts.
 */
export function audience(url, options) {
  return new Audience(url, options);
}

/**
 * A membership of one event. Its events:
 *   open     counted in: the first count after joining, or after coming back, has arrived
 *   count    `detail` is the total, a number; it is repeated now and then even when it is the same
 *   message  `detail` is {service, text}, both as they were sent: percent-encoding is not undone
 *   error    `detail` is {message, final}; when `final`, it does not come back
 *   state    `detail` is the new state
 *   close    it was closed, or ended by itself
 */
export class Audience extends EventTarget {
  /** The last total, null before the first. */
  total = null;

  /** 'connecting', 'open', 'paused' (the page is hidden, or kept for the way back) or 'closed', for good. */
  state = 'connecting';

  #url;
  #options;
  /** The Stream or Shared in use; null while paused or closed. */
  #line = null;
  #left = false;
  #unlisten = [];

  constructor(url, options = {}) {
    super();
    this.#options = options;
    const { signal } = options;
    if (signal?.aborted) {
      this.state = 'closed';
      return;
    }
    try {
      this.#url = addressOf(url, options.uuid);
    } catch {
      this.state = 'closed';
      setTimeout(() => this.#fail(`${url} is no address of an event`)); // no listener can be there yet
      return;
    }
    this.#on(signal, 'abort', () => this.close());
    // A left page may be kept alive in the back/forward cache, and its stream with it: Chromium would have it counted
    // for another minute. Closing here counts it out at once; the page that is shown again joins again.
    this.#on(globalThis, 'pagehide', () => this.#update(true));
    this.#on(globalThis, 'pageshow', () => this.#update(false));
    if (options.pauseWhenHidden) this.#on(globalThis.document, 'visibilitychange', () => this.#update(this.#left));
    this.#update(false);
  }

  /** Calls back with each total. Returns a function that ends this. */
  onCount(callback) {
    return this.#call('count', callback);
  }

  /** Calls back with each {service, text}. Returns a function that ends this. */
  onMessage(callback) {
    return this.#call('message', callback);
  }

  /** Calls back with each {message, final}. Returns a function that ends this. */
  onError(callback) {
    return this.#call('error', callback);
  }

  /** Leaves the event, for good. */
  close() {
    if (this.state === 'closed') return;
    this.#end();
    this.#emit('close');
  }

  /** `for await (const total of event)`: the latest total each time, until it is closed; throws if it ends by itself. */
  [globalThis.Symbol?.asyncIterator ?? '@@asyncIterator']() {
    return totalsOf(this);
  }

  /** Listens, unless the page is away. */
  #update(left) {
    this.#left = left;
    const away = left || (this.#options.pauseWhenHidden && globalThis.document?.visibilityState === 'hidden');
    if (away) {
      this.#hangUp();
      this.#become('paused');
    } else if (!this.#line) {
      this.#become('connecting');
      const Line = this.#options.shared && canShare() ? Shared : Stream;
      this.#line = new Line(this.#url, this.#options, {
        isNew: () => this.total === null,
        receive: (data) => this.#receive(data),
        lose: (message, final) => (final ? this.#fail(message) : this.#falter(message)),
      });
    }
  }

  #receive(data) {
    const what = /^(?:(\d+)|([^=]+)=([^]*))$/.exec(data) || [];
    if (this.state === 'connecting') {
      this.#become('open');
      this.#emit('open');
    }
    if (this.state === 'closed') return; // by what that led the page to do
    if (what[1]) {
      this.total = Number(data);
      this.#emit('count', this.total);
    } else if (what[2]) {
      this.#emit('message', { service: what[2], text: what[3] });
    } else {
      this.#emit('error', { message: `${this.#url} sent what is neither a count nor a message: ${data}`, final: false });
    }
  }

  #falter(message) {
    this.#become('connecting');
    this.#emit('error', { message, final: false });
  }

  #fail(message) {
    this.#end();
    this.#emit('error', { message, final: true });
    this.#emit('close');
  }

  #end() {
    this.#hangUp();
    this.#unlisten.forEach((unlisten) => unlisten());
    this.#become('closed');
  }

  #hangUp() {
    this.#line?.close();
    this.#line = null;
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#emit('state', state);
  }

  #on(target, type, callback) {
    this.#unlisten.push(listen(target, type, callback));
  }

  #call(type, callback) {
    return listen(this, type, ({ detail }) => callback(detail));
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** One EventSource, renewed until it is closed. */
class Stream {
  #url;
  #options;
  #listener;
  /** Null while waiting to come back. */
  #source = null;
  /** This source got a head of a stream at some time: only then may the browser know a `retry:` and a last id. */
  #known = false;
  /** This source's latest attempt got one. */
  #answered = false;
  #firstAttempt = true;
  #failures = 0;
  #lostAt = 0;
  #floorMs = 0;
  #timer = null;
  #silence;
  #cancelQuestion;
  #unlisten;

  constructor(url, options, listener) {
    this.#url = url;
    this.#options = options;
    this.#listener = listener;
    this.#unlisten = [
      // A browser does not notice that the other end of a connection has become unreachable; this timer does.
      listen(globalThis, 'offline', () => {
        if (this.#answered) this.#comeBack('this device is offline');
      }),
      listen(globalThis, 'online', () => {
        if (this.#timer === null) return;
        this.#failures = 0;
        this.#connectIn(this.#drawMs());
      }),
    ];
    this.#connect();
  }

  close() {
    this.#disconnect();
    this.#unlisten.forEach((unlisten) => unlisten());
  }

  #connect() {
    const source = new (this.#options.EventSource ?? EventSource)(this.#url);
    this.#timer = null;
    this.#source = source;
    source.onopen = () => {
      this.#known = this.#answered = true;
      this.#watch();
    };
    source.onmessage = ({ data }) => {
      this.#failures = 0;
      this.#watch();
      this.#listener.receive(data);
    };
    source.onerror = ({ code }) => this.#lost(source.readyState === CLOSED, code);
    this.#watch();
  }

  #disconnect() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#cancelQuestion?.();
    this.#source?.close();
    this.#timer = this.#source = this.#cancelQuestion = null;
    this.#known = this.#answered = false;
  }

  // Three ways back. A stream that ends is left to the browser: it alone has read `retry:`, and it sends the
  // Last-Event-ID by which the daemon recognises a stream that it has sent away. When no server answers, the browser
  // would knock at the same pace for ever, so the page takes over with growing waits, never shorter than the
  // browser's last one. A status other than 200 closes an EventSource for good, so the page has to come back itself,
  // unless the daemon refuses it.
  #lost(closed, status) {
    const first = this.#firstAttempt && !this.#known && this.#listener.isNew();
    const gapMs = Date.now() - this.#lostAt;
    this.#lostAt = Date.now();
    this.#firstAttempt = false;
    clearTimeout(this.#silence); // until the next answer: `retry:` may ask for a longer wait
    if (!closed && this.#answered) {
      this.#answered = false;
      this.#listener.lose(`${this.#url} was lost, coming back`, false);
      return;
    }
    if (this.#known) this.#floorMs = Math.min(Math.max(gapMs, 0), RETRY_MAX_MS);
    if (closed && (first || this.#known)) {
      this.#cancelQuestion = askWhy(this.#url, first, status, (why, type) => this.#refused(first, why, type));
    } else {
      this.#comeBack(`${this.#url} does not answer, trying again`);
    }
  }

  /** The browser has given up. A proxy whose daemon restarts looks the same to it as a farewell or a wrong address. */
  #refused(first, status, type) {
    const isStream = status === 204 || (status === 200 && /^text\/event-stream/.test(type));
    if (!first && status === 204) {
      this.#listener.lose(`${this.#url} was joined anew elsewhere`, true);
    } else if (first && status < 500 && !isStream && globalThis.navigator?.onLine !== false) {
      const why = status === 200 ? `it answers ${type || 'without a type'}, not an event stream`
        : status ? `it answers ${status}` : 'a wrong address, or this page\'s origin is not allowed';
      this.#listener.lose(`${this.#url} is no event to join: ${why}`, true);
    } else {
      this.#comeBack(`${this.#url} does not answer, trying again`);
    }
  }

  /** Full jitter: pages that were cut off together do not come back together. */
  #comeBack(message) {
    this.#disconnect();
    this.#connectIn(this.#floorMs + this.#drawMs());
    this.#failures += 1;
    this.#listener.lose(message, false);
  }

  #drawMs() {
    const { backoffMs = BACKOFF_MS, backoffMaxMs = BACKOFF_MAX_MS } = this.#options;
    return Math.random() * Math.min(backoffMs * 2 ** this.#failures, backoffMaxMs);
  }

  #connectIn(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), ms);
  }

  /** A daemon repeats its count, so a stream that says nothing for long leads nowhere. */
  #watch() {
    clearTimeout(this.#silence);
    const { silenceMs = SILENCE_MS } = this.#options;
    if (silenceMs) this.#silence = setTimeout(() => this.#comeBack(`${this.#url} was silent, joining anew`), silenceMs);
  }
}

/**
 * One stream for all tabs that share an address. The tab that holds the lock of its name has the stream and passes on
 * each line; the browser gives the lock to the next tab when that one is closed or dies. A tab that was put to sleep
 * with the lock does not answer the other tabs, and one of them takes the lock from it.
 */
class Shared {
  #name;
  #newStream;
  #listener;
  #options;
  #channel;
  /** Null unless this tab holds the lock. */
  #stream = null;
  #release;
  #queued;
  /** The last count, null while there is none that is true. */
  #last = null;
  #closed = false;
  #timer;
  #silence;
  #unlisten;

  constructor(url, options, listener) {
    this.#name = `audience-meter ${url}`;
    this.#newStream = () => new Stream(url, options, {
      isNew: listener.isNew,
      receive: (data) => this.#pass('receive', data),
      lose: (message, final) => this.#pass('lose', message, final),
    });
    this.#options = options;
    this.#listener = listener;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#receive(...data);
    this.#unlisten = listen(globalThis.document, 'visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#hail();
    });
    this.#queue({});
    this.#hail();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#unlisten();
    this.#queued.abort();
    this.#channel.close();
    this.#stream?.close();
    this.#release?.();
  }

  #queue(how) {
    this.#queued?.abort();
    const queued = this.#queued = new AbortController();
    // A request that steals takes no signal.
    navigator.locks.request(this.#name, how.steal ? how : { signal: queued.signal }, () => this.#lead())
      .catch((error) => {
        if (this.#closed || queued.signal.aborted) return;
        if (this.#stream) { // another has taken this tab for dead
          this.#stream.close();
          this.#stream = null;
          this.#queue({});
        } else if (error.name !== 'AbortError') {
          this.#lead(); // locks are not for this page, as in a sandbox: it has a stream of its own
        }
      });
  }

  #lead() {
    if (this.#closed) return null;
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#post('here', null);
    this.#stream = this.#newStream();
    return new Promise((release) => { this.#release = release; });
  }

  /** From the stream to all, this tab included. */
  #pass(...what) {
    this.#post(...what);
    const [kind, , final] = what;
    if (kind === 'lose' && final) {
      // The other tabs have to know of it before the next one in the queue tries it too.
      const release = this.#release;
      this.#release = () => setTimeout(release, ANSWER_MAX_MS / 4);
    }
    this.#receive(...what);
  }

  #receive(kind, what, final) {
    if (kind === 'hello') {
      if (this.#stream) this.#post('here', this.#last);
      return;
    }
    clearTimeout(this.#timer);
    this.#watch();
    if (kind === 'lose') {
      this.#last = null;
      this.#listener.lose(what, final);
    } else if (kind === 'receive') {
      if (/^\d+$/.test(what)) this.#last = what;
      this.#listener.receive(what);
    } else if (what !== null && what !== this.#last) {
      this.#last = what;
      this.#listener.receive(what);
    }
  }

  /** Asks the tab that has the stream for the total. */
  #hail() {
    if (this.#stream) return;
    clearTimeout(this.#timer);
    // Not all at once: the tab that has taken over says so, and the others stop.
    this.#timer = setTimeout(() => this.#queue({ steal: true }), ANSWER_MAX_MS * (1 + Math.random() / 4));
    this.#post('hello');
  }

  #watch() {
    clearTimeout(this.#silence);
    const { silenceMs = SILENCE_MS } = this.#options;
    if (silenceMs && !this.#stream) this.#silence = setTimeout(() => this.#hail(), silenceMs);
  }

  #post(...what) {
    this.#channel.postMessage(what);
  }
}

function canShare() {
  return globalThis.navigator?.locks && globalThis.BroadcastChannel;
}

/** The whole address to join; throws when there is none. */
function addressOf(url, uuid) {
  const { href, protocol } = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
  if (!/^https?:$/.test(protocol)) throw new TypeError(protocol);
  if (!uuid) return href;
  const id = uuid === true ? browserId() : encodeURIComponent(uuid);
  return href.replace(/[?#].*|$/, (rest) => `/${id}${rest}`);
}

let pageId;

/** This browser's name to this page's site: a random id, the same in all tabs while the browser keeps data. */
function browserId() {
  try {
    pageId = localStorage.getItem('audience-meter') || pageId;
    pageId ||= randomId();
    localStorage.setItem('audience-meter', pageId);
  } catch {
    pageId ||= randomId(); // the browser keeps no data: then one id for this page
  }
  return pageId;
}

function randomId() {
  const numbers = new Uint32Array(4);
  if (globalThis.crypto) crypto.getRandomValues(numbers);
  let id = '';
  for (let i = 0; i < numbers.length; i += 1) id += (numbers[i] || Math.random() * 2 ** 32 >>> 0).toString(36);
  return id;
}

/**
 * Asks for the reason why the browser has given up a stream, which the browser keeps from the page. A join with the
 * farewell's id is not counted: a daemon answers it 204. The first attempt goes without the id: across origins the
 * browser would send a preflight for it, and a proxy without its daemon refuses that. Returns a function that cancels.
 */
function askWhy(url, first, status, answer) {
  if (status || !globalThis.XMLHttpRequest) { // an EventSource outside of browsers has the status
    answer(status || 0);
    return undefined;
  }
  const xhr = new XMLHttpRequest();
  const cancel = () => {
    xhr.onreadystatechange = null;
    xhr.abort();
  };
  xhr.open('GET', url, true);
  xhr.timeout = REASON_MAX_MS;
  xhr.setRequestHeader('Accept', 'text/event-stream');
  if (!first) xhr.setRequestHeader('Last-Event-ID', 'farewell');
  xhr.onreadystatechange = () => {
    if (xhr.readyState < 2) return;
    const why = [xhr.status, xhr.getResponseHeader('Content-Type')];
    cancel();
    answer(why[0], why[1]);
  };
  xhr.send();
  return cancel;
}

/** Does nothing where there is no such target, as outside of a page. Returns a function that ends it. */
function listen(target, type, callback) {
  target?.addEventListener?.(type, callback);
  return () => target?.removeEventListener?.(type, callback);
}

/** The totals as an async iterator. A slow reader gets the latest one, not the backlog. */
function totalsOf(member) {
  let latest = member.total;
  let failure = null;
  const asks = [];
  const answer = () => {
    while (asks.length && (latest !== null || failure || member.state === 'closed')) {
      const [resolve, reject] = asks.shift();
      if (latest !== null) resolve({ value: latest, done: false });
      else if (failure) reject(failure);
      else resolve({ value: undefined, done: true });
      latest = failure = null;
    }
  };
  const unlisten = [
    member.onCount((total) => { latest = total; answer(); }),
    member.onError(({ message, final }) => { if (final) failure = new Error(message); }),
    listen(member, 'close', answer),
  ];
  return {
    next: () => new Promise((...ask) => { asks.push(ask); answer(); }),
    return: () => {
      unlisten.forEach((end) => end());
      asks.splice(0).forEach(([resolve]) => resolve({ value: undefined, done: true }));
      return Promise.resolve({ value: undefined, done: true });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** `<audience-meter src="...">` shows the total; what stood in it before stands there until the first count. */
function defineElement() {
  const ATTRIBUTES = ['src', 'shared', 'uuid', 'pause-when-hidden'];
  customElements.define('audience-meter', class extends HTMLElement {
    static observedAttributes = ATTRIBUTES;

    /** The Audience that is shown, null without `src` and outside of a document. */
    audience = null;

    #joined = '';
    /** What stood in it; null before the first count, for it may not have been parsed yet. */
    #placeholder = null;

    connectedCallback() {
      this.#update();
    }

    disconnectedCallback() {
      this.#update();
    }

    attributeChangedCallback() {
      this.#update();
    }

    /** Once for all that a script changes in one go: an element that is moved stays a member. */
    #update() {
      Promise.resolve().then(() => this.#settle());
    }

    #settle() {
      const wanted = this.isConnected && this.hasAttribute('src')
        ? ATTRIBUTES.map((name) => this.getAttribute(name)).join('\n') : '';
      if (wanted === this.#joined) return;
      this.#joined = wanted;
      this.audience?.close();
      this.audience = null;
      if (this.#placeholder !== null) this.textContent = this.#placeholder;
      if (wanted) this.#join();
    }

    #join() {
      const member = audience(this.getAttribute('src'), {
        shared: this.hasAttribute('shared'),
        uuid: this.getAttribute('uuid') || this.hasAttribute('uuid'),
        pauseWhenHidden: this.hasAttribute('pause-when-hidden'),
      });
      this.audience = member;
      member.onCount((total) => {
        this.#placeholder ??= this.textContent;
        this.textContent = total.toLocaleString();
      });
      this.setAttribute('state', member.state);
      listen(member, 'state', () => this.setAttribute('state', member.state));
      ['count', 'message', 'error'].forEach((type) => listen(member, type, ({ detail }) => {
        this.dispatchEvent(new CustomEvent(type, { detail }));
      }));
    }
  });
}

if (globalThis.customElements && !customElements.get('audience-meter')) defineElement();
