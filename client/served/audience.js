// What the daemon serves as a module: the element is defined, as pages of version 3.0 need it, and all is exported.

export { Audience, audience } from '../audience.js';
export { AudienceMeterElement } from '../element.js';
