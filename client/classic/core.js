// What the classic scripts have in common, and what their build takes for the core.

import '../element.js';

export { audience } from '../audience.js';
export { fillElements } from './old-browsers.js';
