// Uses the types of the element in React's JSX; package.test.mjs compiles it. It is never run.

import type {} from 'audience-meter/jsx';

export const shown = (
  <audience-meter src="http://server/test" shared uuid="somebody" pauseWhenHidden oncount={({ detail }) => detail.toFixed()} lang="de">
    <b>–</b>
  </audience-meter>
);

// @ts-expect-error -- an address is no number
export const wrong = <audience-meter src={1} />;
