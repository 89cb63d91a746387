// audience.d.ts: the types of audience.js, and of the scripts that are made out of it.

export interface AudienceOptions {
  /**
   * One stream for all tabs of this browser that ask for the same address from pages of the same origin: one person is
   * counted once. Needs a secure context (https or localhost); elsewhere each tab has a stream of its own.
   */
  shared?: boolean;
  /**
   * Appends an id to the address, for a daemon with --enable-uuid, where the newest to join with an id takes the place
   * of the others. `true`: a random one, the same in all tabs of this browser and for as long as it keeps data. Best
   * together with `shared`, or the newest tab ends all others.
   */
  uuid?: boolean | string;
  /** Leaves while the page is hidden, and joins again when it is seen. */
  pauseWhenHidden?: boolean;
  /** Leaves for good when it is aborted. */
  signal?: AbortSignal;
  /**
   * The silence, in ms, after which a stream is joined anew; 0 to disable. Default 75,000: three times the daemon's
   * --notify-max-delay. Raise it where that is more than 25 s.
   */
  silenceMs?: number;
  /**
   * The random part of the wait between two attempts is drawn from 0 to this, doubled with each failure. Default 1,000.
   */
  backoffMs?: number;
  /** The most that `backoffMs` is doubled to. Default 30,000. */
  backoffMaxMs?: number;
  /** What to open streams with, where the platform has no EventSource, as in Node.js. */
  EventSource?: new (url: string) => EventSourceLike;
}

/** As much of an EventSource as is used. */
export interface EventSourceLike {
  onopen: ((event: any) => unknown) | null;
  onmessage: ((event: any) => unknown) | null;
  onerror: ((event: any) => unknown) | null;
  readonly readyState: number;
  close(): void;
}

/** Both as they were sent: percent-encoding is not undone. */
export interface AudienceMessage {
  service: string;
  text: string;
}

export interface AudienceError {
  message: string;
  /** It does not come back. */
  final: boolean;
}

/** `paused`: the page is hidden, or kept for the way back. `closed`: for good. */
export type AudienceState = 'connecting' | 'open' | 'paused' | 'closed';

export interface AudienceEventMap {
  /** Counted in: the first count after joining, or after coming back, has arrived. */
  open: CustomEvent<null>;
  /** The total; it is repeated now and then even when it is the same. */
  count: CustomEvent<number>;
  message: CustomEvent<AudienceMessage>;
  error: CustomEvent<AudienceError>;
  state: CustomEvent<AudienceState>;
  /** It was closed, or ended by itself. */
  close: CustomEvent<null>;
}

/** A membership of one event. */
export declare class Audience extends EventTarget implements AsyncIterable<number> {
  constructor(url: string | URL, options?: AudienceOptions);
  /** The last total, null before the first. */
  readonly total: number | null;
  readonly state: AudienceState;
  /** Calls back with each total. Returns a function that ends this. */
  onCount(callback: (total: number) => void): () => void;
  /** Calls back with each message. Returns a function that ends this. */
  onMessage(callback: (message: AudienceMessage) => void): () => void;
  /** Calls back with each error. Returns a function that ends this. */
  onError(callback: (error: AudienceError) => void): () => void;
  /** Leaves the event, for good. */
  close(): void;
  /** The latest total each time, until it is closed; throws if it ends by itself. */
  [Symbol.asyncIterator](): AsyncIterableIterator<number>;

  addEventListener<K extends keyof AudienceEventMap>(
    type: K,
    listener: (this: Audience, event: AudienceEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof AudienceEventMap>(
    type: K,
    listener: (this: Audience, event: AudienceEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/**
 * Joins the event at `url`: `http://host/namespace`, or `http://host/namespace/uuid` for a daemon with --enable-uuid.
 * Failures go to `onError`; nothing is thrown.
 */
export declare function audience(url: string | URL, options?: AudienceOptions): Audience;

/** `<audience-meter src="..." shared uuid pause-when-hidden>`; its attribute `state` has the state, for styles. */
export interface AudienceMeterElement extends HTMLElement {
  /** What is shown, null without `src` and outside of a document. */
  readonly audience: Audience | null;
}

declare global {
  interface HTMLElementTagNameMap {
    'audience-meter': AudienceMeterElement;
  }

  interface Window {
    /** Of the classic script, audience.min.js. */
    audience: typeof audience;
  }
}
