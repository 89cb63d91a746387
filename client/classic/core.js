// What the classic scripts have in common, and what their build takes for the core.

export { audience } from '../audience.js';
export { fillElements } from './old-browsers.js';
