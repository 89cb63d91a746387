// Made into ../audience.min.js: the module of that name as a classic script, with a global `audience`.
//
//     <script src="http://YOUR-SERVER.COM/client/audience.min.js"></script>
//     <script>
//       audience("http://YOUR-SERVER.COM/my-event").onCount(function (total) { ... });
//     </script>

import { audience, fillElements } from './core.js';

globalThis.audience = audience;
fillElements(audience);
