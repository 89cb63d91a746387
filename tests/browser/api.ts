// Uses all types of the package in a browser; package.test.mjs compiles it under --strict. It is never run.

import { audience, Audience } from 'audience-meter';
import type { AudienceError, AudienceMessage, AudienceOptions, AudienceState } from 'audience-meter';
import { AudienceMeterElement } from 'audience-meter/element.js';
import 'audience-meter/viewers.min.js';
import $ from 'audience-meter/jquery.audience.js';
import type {} from 'audience-meter/jsx';
import type {} from 'audience-meter/svelte';
import type {} from 'audience-meter/vue';
import { EventSource } from 'eventsource';

const abort = new AbortController();
const options: AudienceOptions = {
  shared: true,
  uuid: 'somebody',
  pauseWhenHidden: true,
  signal: abort.signal,
  silenceMs: 75_000,
  backoffMs: 1_000,
  backoffMaxMs: 30_000,
  EventSource,
};
const event: Audience = audience(new URL('http://server/test'), { ...options, uuid: true });
const other = new Audience('http://server/test');
audience(async (uuid) => `http://server/test/${uuid}?signature=0`, { uuid: true, shared: 'by name' }).close();
const total: number | null = event.total;
const state: AudienceState = event.state;
const ends: (() => void)[] = [
  event.onCount((count: number) => console.log(count + 1)),
  event.onMessage(({ service, text }: AudienceMessage) => console.log(service.length + text.length)),
  event.onError(({ message, final }: AudienceError) => console.log(message.length, final === true)),
];
event.addEventListener('open', () => ends.forEach((end) => end()), { once: true });
event.addEventListener('count', ({ detail }) => console.log(detail.toFixed()));
event.addEventListener('message', ({ detail }) => console.log(detail.service));
event.addEventListener('error', ({ detail }) => console.log(detail.final));
event.addEventListener('state', ({ detail }) => console.log(detail === 'paused'));
event.addEventListener('close', function close() { this.removeEventListener('close', close); });
event.dispatchEvent(new CustomEvent('count', { detail: 1 }));

async function watch(): Promise<void> {
  for await (const count of event) if (count > 9) break;
  const totals = other[Symbol.asyncIterator]();
  const next: IteratorResult<number> = await totals.next();
  if (!next.done) console.log(next.value.toFixed());
}

const element: AudienceMeterElement = document.createElement('audience-meter');
element.src = new URL('http://server/test');
element.signer = '/address-of-my-event';
element.uuid = element.shared = element.pauseWhenHidden = true;
element.uuid = 'somebody';
element.addEventListener('count', ({ detail }) => console.log(detail.toFixed()));
element.addEventListener('error', ({ detail }) => console.log(detail.final));
element.addEventListener('click', () => console.log('as of any element'));
event.addEventListener('count', (told: CustomEvent<number>) => console.log(told.detail));
$.audience('http://server/test').progress((data, { total }) => console.log(data.length, total?.toFixed())).close();
const shown: Audience | null = element.audience;
document.querySelector('audience-meter')?.setAttribute('src', 'http://server/test');
window.audience('http://server/test').close();

// @ts-expect-error -- an id is no number
element.uuid = 1;
// @ts-expect-error -- an option that is none
audience('http://server/test', { share: true });
// @ts-expect-error -- a total is told, not set
event.total = 1;
// @ts-expect-error -- a count is a number
event.onCount((count: string) => count);

export { element, shown, state, total, watch };
