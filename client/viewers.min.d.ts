// viewers.min.d.ts: the types of the classic script: a global `audience`, and the element.

import type { audience as join } from './audience.js';
import './element.global.js';

declare global {
  var audience: typeof join;
}
