// jquery.audience.d.cts: the types of the jQuery plugin: jQuery, with $.audience(url, options).

import type { AddressMaker, AudienceMessage, AudienceOptions } from './audience.js' with { 'resolution-mode': 'import' };

declare global {
  /** It is whole where @types/jquery is there. */
  interface JQueryStatic {
    audience(url: string | AddressMaker, options?: AudienceOptions): JQueryAudience;
  }

  /** A promise of jQuery's: resolved by `close()`, and rejected with a message when it ends by itself. */
  interface JQueryAudience {
    /** `data` is a total, `'42'`, or a message, `'service=text'`. */
    progress(callback: (data: string, parsed: Partial<AudienceMessage> & { total?: number }) => void): this;
    done(callback: () => void): this;
    fail(callback: (message: string) => void): this;
    always(callback: () => void): this;
    state(): 'pending' | 'resolved' | 'rejected';
    /** Leaves the event, for good. */
    close(): void;
  }
}

declare const jquery: JQueryStatic;
export = jquery;
