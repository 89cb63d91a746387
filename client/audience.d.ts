// audience.d.ts: the types of audience.js. They need no library of a browser's types, and use it where it is.

/** The type of this name that the platform has, or else as much of it as is used. */
type Platform<Name extends string, Else> = typeof globalThis extends { [N in Name]: { prototype: infer T } } ? T : Else;

type PlatformEvent = Platform<'Event', { readonly type: string }>;

interface PlainTarget {
  addEventListener(type: string, listener: any, options?: any): void;
  removeEventListener(type: string, listener: any, options?: any): void;
  dispatchEvent(event: any): boolean;
}

declare const PlatformTarget: new () => Platform<'EventTarget', PlainTarget>;

/** A CustomEvent, with a `detail` of this type. */
export type AudienceEvent<T> = PlatformEvent & {
  readonly detail: T;
  /** @deprecated */
  initCustomEvent(type: string, bubbles?: boolean, cancelable?: boolean, detail?: T): void;
};

/** As much of an AbortSignal as is used. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A text, or an URL object. */
export type Address = string | { readonly href: string; toString(): string };

/** Makes an address for the next attempt. `uuid` is the id of the option of this name. */
export type AddressMaker = (uuid?: string) => Address | PromiseLike<Address>;

export interface AudienceOptions {
  /**
   * One stream for all tabs of this browser that ask for the same address from pages of the same origin: one person is
   * counted once. Needs a secure context (https or localhost); elsewhere each tab has a stream of its own. A string is a
   * name that the tabs share: with a function for the address, tabs share by a name alone.
   */
  shared?: boolean | string;
  /**
   * Appends an id to the address, for a daemon with --enable-uuid, where the newest to join with an id takes the place
   * of the others. `true`: a random one, the same in all tabs of this browser and for as long as it keeps data. Best
   * together with `shared`, or the newest tab ends all others. A function for the address gets it, and appends it itself.
   */
  uuid?: boolean | string;
  /** Leaves while the page is hidden, and joins again when it is seen. */
  pauseWhenHidden?: boolean;
  /** Leaves for good when it is aborted. */
  signal?: AbortSignalLike;
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
  open: AudienceEvent<null>;
  /** The total; it is repeated now and then even when it is the same. */
  count: AudienceEvent<number>;
  message: AudienceEvent<AudienceMessage>;
  error: AudienceEvent<AudienceError>;
  state: AudienceEvent<AudienceState>;
  /** It was closed, or ended by itself. */
  close: AudienceEvent<null>;
}

type Listener = ((event: PlatformEvent) => void) | { handleEvent(event: PlatformEvent): void };

interface ListenerOptions {
  capture?: boolean;
  once?: boolean;
  passive?: boolean;
  signal?: Platform<'AbortSignal', AbortSignalLike>;
}

/** A membership of one event. */
export declare class Audience extends PlatformTarget implements AsyncIterable<number> {
  constructor(url: Address | AddressMaker, options?: AudienceOptions);
  /** The last total, null before the first. */
  readonly total: number | null;
  readonly state: AudienceState;
  /** Calls back with each total. Returns a function that ends this. */
  onCount(callback: (total: number) => void): () => void;
  /** Calls back with each message. Returns a function that ends this. */
  onMessage(callback: (message: AudienceMessage) => void): () => void;
  /** Calls back with each error. Returns a function that ends this. */
  onError(callback: (error: AudienceError) => void): () => void;
  /** Leaves the event, for good, and says so to a daemon that keeps the places of lost streams. */
  close(): void;
  /** The latest total each time, until it is closed; throws if it ends by itself. */
  [Symbol.asyncIterator](): AsyncIterableIterator<number>;

  addEventListener<K extends keyof AudienceEventMap>(
    type: K,
    listener: (this: Audience, event: AudienceEventMap[K]) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: Listener | null,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener<K extends keyof AudienceEventMap>(
    type: K,
    listener: (this: Audience, event: AudienceEventMap[K]) => unknown,
    options?: boolean | ListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: Listener | null,
    options?: boolean | ListenerOptions,
  ): void;
}

/**
 * Joins the event at `url`: `http://host/namespace`, or `http://host/namespace/uuid` for a daemon with --enable-uuid.
 * A function is called before each attempt of the client, for addresses that are good for a time. Failures go to `onError`;
 * nothing is thrown.
 */
export declare function audience(url: Address | AddressMaker, options?: AudienceOptions): Audience;
