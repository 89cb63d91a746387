// requests.js: asks the stats port for its other pages, a few at a time.
//
// Owns the order: first what was asked for, then what would be nice to have, which is chosen only when there is room for
// it, so that rows that were scrolled away ask for nothing. Keeps: at most `RUNNING_MAX` at once, since connections to
// that port are few.

const RUNNING_MAX = 2;
const TIMEOUT_MS = 30_000;

/** A browser that sends too late gets the figures without HTTP, and has to ask again. */
const TRIES = 3;

export class Requests {
  #asked = [];
  #running = 0;
  #next;

  /** `next` gives `{ path, done }` of what would be nice to have, or nothing. */
  constructor(next) {
    this.#next = next;
  }

  /** What is at `path`: `{ value, size }`, or `null` where there is nothing. Rejects when there is no answer. */
  ask(path) {
    return new Promise((done, failed) => {
      this.#asked.push({ path, done, failed });
      this.pump();
    });
  }

  /** Starts requests while there is room for them. */
  pump() {
    while (this.#running < RUNNING_MAX) {
      const request = this.#asked.shift() ?? this.#next();
      if (!request) return;
      this.#run(request);
    }
  }

  async #run({ path, done, failed = () => {} }) {
    this.#running += 1;
    try {
      done(await get(path));
      this.#running -= 1;
      this.pump();
    } catch (error) {
      this.#running -= 1;
      failed(error);
    }
  }
}

/** The address of a namespace's page: the query has the name if the browser would write it otherwise in a path. */
export function pathTo(folder, name, ending = '') {
  const path = `/${folder}/${name}${ending}`;
  const { pathname } = new URL(path, location.origin);
  return pathname === path ? path : `/${folder}/${ending}?name=${encodeURIComponent(name)}`;
}

async function get(path) {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const ask = (tries) => fetch(path, { headers: { Accept: 'application/json' }, signal })
    .catch((error) => (tries > 1 ? ask(tries - 1) : Promise.reject(error)));
  const response = await ask(TRIES);
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  const text = await response.text();
  return { value: JSON.parse(text), size: text.length };
}
