// Made into ../audience.min.js: the module of that name as a classic script, with a global `audience`.
//
//     <script src="http://YOUR-SERVER.COM/client/audience.min.js"></script>
//     <script>
//       audience("http://YOUR-SERVER.COM/my-event").onCount(function (total) { ... });
//     </script>

import { audience } from '../audience.js';
import { fillElements } from './old-browsers.js';

globalThis.audience = audience;
fillElements(audience);
