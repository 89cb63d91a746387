/* @ts-self-types="./audience.d.ts" */
// audience.js: joins an event of an Audience Meter and gives the number of viewers. An ES module, no build step:
//
//     import { audience } from 'http://YOUR-SERVER.COM/client/audience.js';
//     const event = audience('http://YOUR-SERVER.COM/my-event');
//     event.onCount((total) => { document.getElementById('total').textContent = total; });
//
// Four classes, each knows the next: Audience (what a page sees), Line (one stream for all that a page joins at an
// address), Shared (one for all tabs), Stream (one EventSource, and when to come back after it was lost). The maker of one
// of the last three is its `listener`, with
//   isNew()               whether no count has ever arrived: only then may its address be wrong
//   receive(data)         for each line of the stream
//   lose(message, final)  for each interruption; `final` when it will not come back
//
// Does not know: the element, which is `element.js`, and browsers without EventSource. `classic/` builds scripts for these
// out of this file.
// Keeps: at most one stream open per page and address, none while the page is away, and none for good once all are closed.

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

/** The longest `Retry-After` of a server that is believed: a day. */
const RETRY_AFTER_MAX_MS = 86_400_000;

/** The time in which the tab that holds the stream has to answer; past it, the asking tab takes the stream over. */
const ANSWER_MAX_MS = 2_000;

/** `readyState` of an EventSource that does not come back by itself. */
const CLOSED = 2;

/**
 * Where a page keeps its Lines, by address: `globalThis[LINES]`. All copies of this script in a page use them, of whatever
 * version: of a Line, nothing but `add` and `remove` is called by another copy, with a listener as above.
 */
const LINES = globalThis.Symbol ? Symbol.for('audience-meter') : '@@audience-meter';

/** Hosts of the visitor's own machine and network, which a browser may keep from a page of the internet. */
const LOCAL_HOST = /^(localhost|.*\.local(host)?|(127|10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\.[\d.]+|\[(::1|f[cde].*)\])$/;

/** The header by which the daemon itself refuses an address, in a word. */
const REFUSAL = 'Audience-Meter-Refusal';

const FOREIGN = 'this page\'s origin is not allowed';

const POLICY = 'the policy of this page does not allow it (connect-src)';

/**
 * Joins the event at `url`, which is `http://host/namespace` or, for a daemon with --enable-uuid,
 * `http://host/namespace/uuid`, or a function that returns such an address or a promise of one. Failures go to `onError`;
 * nothing is thrown. Options: audience.d.ts.
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
  /** Leaves the Line in use; null while paused or closed. */
  #leave = null;
  #left = false;
  #unlisten = [];

  constructor(url, options) {
    super();
    this.#options = options || {};
    const { signal, uuid } = this.#options;
    if (signal?.aborted) {
      this.state = 'closed';
      return;
    }
    try {
      this.#url = url.call ? url : addressOf(url, uuid);
    } catch {
      this.state = 'closed';
      setTimeout(() => this.#lose(`${String(url)} is no address of an event`, true)); // no listener can be there yet
      return;
    }
    this.#on(signal, 'abort', () => this.close());
    // A left page may be kept alive in the back/forward cache, and its stream with it: Chromium would have it counted
    // for another minute. Closing here counts it out at once; the page that is shown again joins again.
    this.#on(globalThis, 'pagehide', () => this.#update(true));
    this.#on(globalThis, 'pageshow', () => this.#update(false));
    ['prerenderingchange', 'visibilitychange'].forEach((type) => {
      this.#on(globalThis.document, type, () => this.#update(this.#left));
    });
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

  /** Listens, unless the page is away, or prepared by a browser that may never show it. */
  #update(left) {
    this.#left = left;
    const page = globalThis.document;
    if (left || page?.prerendering || (this.#options.pauseWhenHidden && page?.hidden)) {
      this.#hangUp(left);
      this.#become('paused');
    } else if (!this.#leave) {
      this.#become('connecting');
      this.#leave = joinLine(this.#url, this.#options, {
        isNew: () => this.total === null,
        receive: (data) => this.#receive(data),
        lose: (message, final) => this.#lose(message, final),
      });
    }
  }

  #receive(data) {
    const [, count, service, text] = /^(?:(\d+)|([^=]+)=([^]*))$/.exec(data) || [];
    if (this.state === 'connecting') {
      this.#become('open');
      this.#emit('open');
    }
    if (this.state === 'closed') return; // by what that led the page to do
    if (count) {
      this.total = Number(data);
      this.#emit('count', this.total);
    } else if (service) {
      this.#emit('message', { service, text });
    } else {
      this.#emit('error', { message: `${this.#url} sent neither a count nor a message: ${data}`, final: false });
    }
  }

  #lose(message, final) {
    if (final) this.#end();
    else this.#become('connecting');
    this.#emit('error', { message, final });
    if (final) this.#emit('close');
  }

  #end() {
    this.#hangUp();
    this.#unlisten.forEach((unlisten) => unlisten());
    this.#become('closed');
  }

  #hangUp(isAway) {
    this.#leave?.(isAway);
    this.#leave = null;
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

/**
 * Joins by the Line that this page has to an address, or else by a new one, with these options. Returns a function that
 * leaves, for good unless the page may be on its way back. A program that is no page has a Line for each Audience: a script may play many members. Of a function, the Line is
 * the function's own.
 */
function joinLine(url, options, listener) {
  const lines = globalThis.document ? (url.call ? url : globalThis)[LINES] ??= {} : {};
  const line = lines[url] ??= new Line(url, options, () => {
    if (lines[url] === line) delete lines[url]; // after what is final, the page may have joined anew
  });
  line.add(listener);
  return (isAway) => line.remove(listener, isAway);
}

/** One stream for all Audiences of a page that have joined one address. */
class Line {
  #url;
  #options;
  /** Takes it off the list of its page: the next to join has a new one. */
  #forget;
  #listeners = [];
  /** The Stream or Shared in use. */
  #line = null;
  /** The last count, null while there is none that is true. */
  #last = null;

  constructor(url, options, forget) {
    this.#url = url;
    this.#options = options;
    this.#forget = forget;
  }

  add(listener) {
    this.#listeners.push(listener);
    this.#line ??= this.#open({
      isNew: () => this.#listeners.every((each) => each.isNew()),
      receive: (data) => {
        if (/^\d+$/.test(data)) this.#last = data;
        this.#each((each) => each.receive(data));
      },
      lose: (message, final) => {
        this.#last = null;
        if (final) this.#forget();
        this.#each((each) => each.lose(message, final));
      },
    });
    // Later, for the page has not begun to listen to it.
    if (this.#last !== null) setTimeout(() => this.#last !== null && this.#has(listener) && listener.receive(this.#last));
  }

  remove(listener, isAway) {
    if (!this.#has(listener)) return;
    this.#listeners = this.#listeners.filter((each) => each !== listener);
    if (this.#listeners.length) return;
    this.#forget();
    this.#line.close(isAway);
  }

  #open(listener) {
    const { shared } = this.#options;
    const channel = shared && openChannel(shared === true ? this.#url : shared);
    return channel ? new Shared(this.#url, this.#options, listener, channel) : new Stream(this.#url, this.#options, listener);
  }

  #has(listener) {
    return this.#listeners.indexOf(listener) >= 0;
  }

  /** For all that are there now, unless one before leads the page to take it away. */
  #each(act) {
    this.#listeners.forEach((each) => this.#has(each) && act(each));
  }
}

/** One EventSource, renewed until it is closed. */
class Stream {
  /** The address in use. */
  #url;
  /** Makes the next one, if the page has a function for that. */
  #nextUrl;
  #options;
  #listener;
  /** Null while waiting to come back. */
  #source = null;
  /** The number of the latest stream, where the daemon keeps the place of one that is lost: a page says so when it leaves. */
  #number;
  /** This source got a head of a stream at some time: only then may the browser know a `retry:` and a last id. */
  #known = false;
  /** This source's latest attempt got one. */
  #answered = false;
  /** The policy of the page has been seen to forbid this address. */
  #isForbidden = false;
  #failures = 0;
  #lostAt = 0;
  #floorMs = 0;
  #timer = null;
  #silence;
  /** The one that is open: an answer to another comes too late. */
  #question = null;
  #unlisten;

  constructor(url, options, listener) {
    this.#nextUrl = url.call && (() => url(options.uuid === true ? browserId() : options.uuid));
    this.#url = url.call ? 'the function' : url;
    this.#options = options;
    this.#listener = listener;
    this.#unlisten = [
      // A browser does not notice that the other end of a connection has become unreachable; this timer does.
      listen(globalThis, 'offline', () => {
        if (this.#answered) this.#comeBack('was lost, this device is offline');
      }),
      listen(globalThis, 'online', () => {
        if (this.#timer === null) return;
        this.#failures = 0;
        this.#connectIn(this.#drawMs());
      }),
      listen(globalThis.document, 'securitypolicyviolation', ({ effectiveDirective, blockedURI, disposition }) => {
        if (effectiveDirective === 'connect-src' && disposition === 'enforce' && !this.#url.indexOf(blockedURI)) this.#isForbidden = true;
      }),
    ];
    this.#connect();
  }

  close(isAway) {
    this.#disconnect();
    this.#unlisten.forEach((unlisten) => unlisten());
    if (!this.#number) return;
    const words = `?${isAway ? 'away' : 'left'}=${this.#number}&`;
    const url = this.#url.replace(/[?#].*|$/, (rest) => words + rest.slice(1));
    this.#await(fetch(url, { method: 'POST', keepalive: true }), Boolean); // whatever the answer is
  }

  /** Goes on with an address of now: one that is signed is good for a time. */
  #renew(act) {
    if (!this.#nextUrl) return act();
    this.#await(Promise.resolve().then(this.#nextUrl).then((url) => this.#url = addressOf(url)), (url) => {
      if (url) act();
      else this.#goOn();
    });
  }

  #connect() {
    this.#timer = null;
    this.#renew(() => this.#open());
  }

  #open() {
    let source;
    try {
      source = new (this.#options.EventSource ?? EventSource)(this.#url);
    } catch (error) { // WebKit's word on the policy of a page; or a platform that has none
      const why = { SecurityError: POLICY, ReferenceError: 'there is no EventSource, pass one as an option' }[error.name];
      this.#timer = setTimeout(() => this.#refuse(`cannot be joined: ${why ?? error.message}`)); // no listener can be there yet
      return;
    }
    // On the way back to a page, WebKit opens a source again that was closed when the page was left.
    const own = (act) => (event) => {
      if (source === this.#source) act(event);
      else source.close();
    };
    this.#source = source;
    source.onopen = own(() => {
      this.#known = this.#answered = true;
      this.#watch();
    });
    source.onmessage = own(({ data, lastEventId }) => {
      this.#failures = 0;
      this.#number = lastEventId;
      this.#watch();
      this.#listener.receive(data);
    });
    source.onerror = own(({ code }) => this.#lost(source.readyState === CLOSED, code));
    this.#watch();
  }

  #disconnect() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#source?.close();
    this.#timer = this.#source = this.#question = null;
    this.#known = this.#answered = false;
  }

  // Three ways back. A stream that ends is left to the browser: it alone has read `retry:`, and it sends the
  // Last-Event-ID by which the daemon recognises a stream that it has sent away. When no server answers, the browser
  // would knock at the same pace for ever, so the page takes over with growing waits, never shorter than the
  // browser's last one. A status other than 200 closes an EventSource for good, and so does Firefox where no server
  // answers; then the page asks for the reason, and comes back unless it is refused.
  #lost(isClosed, status) {
    const isKnown = this.#known;
    const isFirst = !this.#lostAt && !isKnown && this.#listener.isNew();
    const gapMs = Date.now() - this.#lostAt;
    this.#lostAt = Date.now();
    clearTimeout(this.#silence); // until the next answer: `retry:` may ask for a longer wait
    if (!isClosed && this.#answered) {
      this.#answered = false;
      this.#falter('was lost');
      return;
    }
    if (isKnown && !this.#answered) this.#floorMs = Math.min(gapMs, RETRY_MAX_MS);
    this.#disconnect();
    if (isFirst) this.#askWhy(status);
    else if (isClosed) this.#ask('cors', (response) => this.#goOn(response), isKnown && 'farewell');
    else this.#goOn();
  }

  /** Why the first attempt has failed: an address may be wrong, and it would be asked in vain for ever. */
  #askWhy(status) {
    if (status) { // an EventSource outside of browsers has the status
      this.#judge({ status });
      return;
    }
    this.#ask('cors', (response) => {
      if (response) this.#judge(response);
      else this.#ask('no-cors', (hidden) => {
        if (!hidden) this.#judgeSilence();
        else this.#ask('cors', (again) => this.#judge(again ?? hidden)); // it may have come up in between
      });
    });
  }

  #judge(response) {
    const { status, headers } = response;
    const type = headers?.get('Content-Type');
    // Busy or away, now or when it was asked first; a proxy's word on a client that has left; or it knows no HEAD.
    if (/^(204|405|408|425|429|5..)$/.test(status) || (status === 200 && /^text\/event-stream/.test(type))) this.#goOn(response);
    else this.#refuse(`is no event to join: ${!status ? `a wrong address, or ${FOREIGN}` : `it answers ${
      status === 200 ? `${type || 'without a type'}, not an event stream` : status === 403 ? `403, ${headers?.get(REFUSAL) ?? FOREIGN}` : status}`}`);
  }

  /** Nothing has come through. Is it the browser that lets nothing through? Else the server is away, and will be back. */
  #judgeSilence() {
    const { protocol, hostname } = new URL(this.#url);
    const permissions = LOCAL_HOST.test(hostname) && globalThis.navigator?.permissions;
    if (this.#isForbidden) {
      this.#refuse(`cannot be joined: ${POLICY}`);
    } else if (permissions) {
      this.#await(permissions.query({ name: 'local-network-access' }), (permission) => {
        if (permission?.state === 'denied') this.#refuse('cannot be joined: this page is refused the local network');
        else this.#goOn();
      });
    } else if (protocol === 'http:' && globalThis.location?.protocol === 'https:') {
      this.#refuse('cannot be joined: a page that came by https may not ask by http');
    } else {
      this.#goOn();
    }
  }

  /** What the browser keeps from the page: the answer of the server, none where nothing came through. It is not counted. */
  #ask(mode, answer, lastId) {
    const headers = { Accept: 'text/event-stream' };
    if (lastId) headers['Last-Event-ID'] = lastId;
    this.#renew(() => this.#await(fetch(this.#url, {
      method: 'HEAD',
      mode,
      cache: 'no-store',
      headers,
      signal: globalThis.AbortSignal?.timeout?.(REASON_MAX_MS),
    }), answer));
  }

  #await(promise, answer) {
    const question = this.#question = {};
    const settle = (result) => {
      if (question === this.#question) answer(result);
    };
    promise.then(settle, () => settle());
  }

  /** Comes back, unless the daemon says that another stream has this uuid now, or refuses the address. A proxy's word on either
   * says nothing. */
  #goOn(response) {
    const header = (name) => response?.headers?.get(name);
    if (response?.status === 204 && header('Audience-Meter-Farewell') === 'claimed') {
      this.#refuse('was joined anew elsewhere');
      return;
    }
    if (header(REFUSAL)) {
      this.#judge(response);
      return;
    }
    const after = header('Retry-After');
    const afterMs = (/^\d+$/.test(after) ? after * 1_000 : Date.parse(after) - Date.now()) || 0;
    const why = !response ? 'does not answer' : response.status === 200 ? 'was lost' : `answers ${response.status}`;
    this.#comeBack(why, Math.min(afterMs, RETRY_AFTER_MAX_MS));
  }

  #refuse(why) {
    this.#listener.lose(`${this.#url} ${why}`, true);
  }

  /** Full jitter: pages that were cut off together do not come back together. */
  #comeBack(why, afterMs = 0) {
    this.#disconnect();
    this.#connectIn(Math.max(this.#floorMs, afterMs, 0) + this.#drawMs());
    this.#failures += 1;
    this.#falter(why);
  }

  #falter(why) {
    this.#listener.lose(`${this.#url} ${why}, trying again`, false);
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
    if (silenceMs) this.#silence = setTimeout(() => this.#comeBack('was silent'), silenceMs);
  }
}

/**
 * One stream for all tabs that share an address. The tab that holds the lock of its name has the stream and passes on
 * each line; the browser gives the lock to the next tab when that one is closed or dies. A tab that was put to sleep
 * with the lock does not answer the other tabs, and one of them takes the lock from it.
 */
class Shared {
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

  constructor(url, options, listener, channel) {
    this.#newStream = () => new Stream(url, options, {
      isNew: listener.isNew,
      receive: (data) => this.#pass('receive', data),
      lose: (message, final) => this.#pass('lose', message, final),
    });
    this.#options = options;
    this.#listener = listener;
    this.#channel = channel;
    channel.onmessage = ({ data }) => this.#receive(...data);
    this.#unlisten = listen(globalThis.document, 'visibilitychange', () => {
      if (!document.hidden) this.#hail();
    });
    this.#queue();
    this.#hail();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#unlisten();
    this.#queued.abort();
    this.#channel.close();
    this.#stream?.close(true); // another tab may go on
    this.#release?.();
  }

  #queue(steal) {
    this.#queued?.abort();
    const queued = this.#queued = new AbortController();
    // A request that steals takes no signal.
    navigator.locks.request(this.#channel.name, steal ? { steal } : { signal: queued.signal }, () => this.#lead())
      .catch((error) => {
        if (this.#closed || queued.signal.aborted) return;
        if (this.#stream) { // another has taken this tab for dead
          this.#stream.close();
          this.#stream = null;
          this.#queue();
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
    } else if (kind === 'receive' || (what !== null && what !== this.#last)) {
      if (/^\d+$/.test(what)) this.#last = what;
      this.#listener.receive(what);
    }
  }

  /** Asks the tab that has the stream for the total. */
  #hail() {
    if (this.#stream) return;
    clearTimeout(this.#timer);
    // Not all at once: the tab that has taken over says so, and the others stop.
    this.#timer = setTimeout(() => this.#queue(true), ANSWER_MAX_MS * (1 + Math.random() / 4));
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

/**
 * What the tabs with this address, or this name, talk over. Nothing where tabs cannot share, or may not: a browser may refuse
 * to keep data. The text of a function names no event.
 */
function openChannel(name) {
  try {
    return !name.call && navigator.locks && new BroadcastChannel(`audience-meter ${name}`);
  } catch {
    return null;
  }
}

/** The whole address to join; throws when there is none. */
function addressOf(url, uuid) {
  const { href, protocol } = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
  if (!/^https?:$/.test(protocol)) throw TypeError(protocol);
  if (!uuid) return href;
  const id = uuid === true ? browserId() : encodeURIComponent(uuid);
  return href.replace(/[?#].*|$/, (rest) => `/${id}${rest}`);
}

let pageId = '';

/** This browser's name to this page's site: a random id, the same in all tabs while the browser keeps data. */
function browserId() {
  const numbers = new Uint32Array(pageId ? 0 : 4);
  if (globalThis.crypto) crypto.getRandomValues(numbers);
  for (let i = 0; i < numbers.length; i += 1) pageId += (numbers[i] || Math.random() * 2 ** 32 >>> 0).toString(36);
  try {
    pageId = localStorage.getItem('audience-meter') || pageId;
    localStorage.setItem('audience-meter', pageId);
  } catch { /* the browser keeps no data: then one id for this page */ }
  return pageId;
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
  const end = { done: true };
  const asks = [];
  const answer = () => {
    while (asks.length && (latest !== null || failure || member.state === 'closed')) {
      const [resolve, reject] = asks.shift();
      if (latest !== null) resolve({ value: latest });
      else if (failure) reject(failure);
      else resolve(end);
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
      unlisten.forEach((unlistenOne) => unlistenOne());
      asks.splice(0).forEach(([resolve]) => resolve(end));
      return Promise.resolve(end);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
