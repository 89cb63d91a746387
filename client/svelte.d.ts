// svelte.d.ts: <audience-meter> in Svelte's templates. Of use is its import alone: `import type {} from 'audience-meter/svelte'`.

import type { HTMLAttributes } from 'svelte/elements';
import type { AudienceMeterAttributes, AudienceMeterElement, AudienceMeterEventMap } from './element.js';

type Listeners = { [K in keyof AudienceMeterEventMap as `on${K}`]?: (event: AudienceMeterEventMap[K]) => void };

declare module 'svelte/elements' {
  interface SvelteHTMLElements {
    'audience-meter': Omit<HTMLAttributes<AudienceMeterElement>, keyof Listeners> & AudienceMeterAttributes & Listeners;
  }
}
