// element.d.ts: the types of element.js, which defines <audience-meter>.

import type { Audience, AudienceEvent, AudienceError, AudienceMessage } from './audience.js';

/** The attributes of the element, as they are written in HTML and in templates. */
export interface AudienceMeterAttributes {
  /** The address of the event. */
  src?: string;
  /** A page of yours that answers with the address of the event, one that it has signed. */
  signer?: string;
  /** One stream for all tabs of this browser. */
  shared?: boolean | '' | 'true' | 'false';
  /** `true`: a random id of this browser. A string is an id of your own. */
  uuid?: boolean | string;
  /** Counts a page only while it is in sight. */
  'pause-when-hidden'?: boolean | '' | 'true' | 'false';
  pauseWhenHidden?: boolean;
}

export interface AudienceMeterEventMap {
  /** The total; it is repeated now and then even when it is the same. */
  count: AudienceEvent<number>;
  message: AudienceEvent<AudienceMessage>;
  error: AudienceEvent<AudienceError>;
}

/** Any element, where the types of a browser are there. */
type Platform = typeof globalThis extends { HTMLElement: { prototype: infer T } } ? T : {};

declare const PlatformElement: new () => Platform;

/** `<audience-meter src="...">` shows the total; its children stand there until the first count. */
export declare class AudienceMeterElement extends PlatformElement {
  /** What is shown, null without an address and outside of a document. */
  readonly audience: Audience | null;
  /** The address of the event; nothing is joined while it is empty. */
  get src(): string;
  set src(value: string | { readonly href: string; toString(): string } | null | undefined);
  /** A page of yours that answers with the address of the event, one that it has signed; with one, `src` has no effect. */
  get signer(): string;
  set signer(value: string | { readonly href: string; toString(): string } | null | undefined);
  /** One stream for all tabs of this browser. */
  get shared(): boolean;
  set shared(value: boolean | 'true' | 'false' | '' | null | undefined);
  /** `true`: a random id of this browser. A string is an id of your own. */
  get uuid(): boolean | string;
  set uuid(value: boolean | string | null | undefined);
  /** Counts a page only while it is in sight. */
  get pauseWhenHidden(): boolean;
  set pauseWhenHidden(value: boolean | 'true' | 'false' | '' | null | undefined);

  addEventListener<K extends keyof AudienceMeterEventMap>(
    type: K,
    listener: (this: AudienceMeterElement, event: AudienceMeterEventMap[K]) => unknown,
    options?: any,
  ): void;
  addEventListener(type: string, listener: any, options?: any): void;
  removeEventListener<K extends keyof AudienceMeterEventMap>(
    type: K,
    listener: (this: AudienceMeterElement, event: AudienceMeterEventMap[K]) => unknown,
    options?: any,
  ): void;
  removeEventListener(type: string, listener: any, options?: any): void;
}
