// Uses audience.d.ts where there are no types of a browser; package.test.mjs compiles it so. It is never run.

import { audience } from 'audience-meter';
import { AudienceMeterElement } from 'audience-meter/element.js';

const event = audience({ href: 'http://server/test' }, { silenceMs: 75_000 });
const ends: () => void = event.onCount((count: number) => { ends(); count.toFixed(); });
event.addEventListener('message', ({ type, detail }) => type + detail.service);
event.removeEventListener('any', () => {});
export const total: number | null = new AudienceMeterElement().audience?.total ?? event.total;

export async function watch(): Promise<void> {
  for await (const count of event) if (count > 9) event.close();
}

// @ts-expect-error -- a total is told, not set
event.total = 1;
