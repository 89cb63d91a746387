// jsx.d.ts: <audience-meter> in React's JSX. Of use is its import alone: `import type {} from 'audience-meter/jsx'`.

import type { DetailedHTMLProps, HTMLAttributes } from 'react';
import type { AudienceMeterAttributes, AudienceMeterElement, AudienceMeterEventMap } from './element.js';

type Listeners = { [K in keyof AudienceMeterEventMap as `on${K}`]?: (event: AudienceMeterEventMap[K]) => void };

type Properties = DetailedHTMLProps<HTMLAttributes<AudienceMeterElement>, AudienceMeterElement>
  & AudienceMeterAttributes & Listeners & { class?: string };

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'audience-meter': Properties;
    }
  }
}
