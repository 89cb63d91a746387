// element.global.d.ts: the types of element.js, and the element in the types of a browser.

import type { AudienceMeterElement } from './element.js';

export * from './element.js';

declare global {
  interface HTMLElementTagNameMap {
    'audience-meter': AudienceMeterElement;
  }
}
