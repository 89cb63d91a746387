// vue.d.ts: <audience-meter> in Vue's templates. Of use is its import alone: `import type {} from 'audience-meter/vue'`.

import type { DefineComponent } from 'vue';
import type { AudienceMeterAttributes, AudienceMeterEventMap } from './element.js';

type Listeners = { [K in keyof AudienceMeterEventMap as `on${Capitalize<K>}`]?: (event: AudienceMeterEventMap[K]) => void };

declare module 'vue' {
  interface GlobalComponents {
    'audience-meter': DefineComponent<AudienceMeterAttributes & Listeners>;
  }
}
