// Made into ../jquery.audience.js, with the core in it: the API of 2011, $.audience(url), on any jQuery from 1.7 to 4
// (of jQuery 4 not the slim build: it has no Deferred).
//
//     var event = $.audience('http://YOUR-SERVER.COM/my-event').progress(function (data, parsed) { ... });
//     event.close();
//
// progress is called with each event, a string as ever: '42' is a total, 'service=text' a message. New pages have
// it parsed as well: {total: 42} or {service: 'service', text: 'text'}, percent-encoding not undone. A second argument
// of $.audience takes the options of the module.
//
// The promise is resolved by close(), and rejected with a message when it ends by itself: there is no such event, or
// the same uuid joined elsewhere. Everything else is an interruption, and it comes back. Any number of events can be
// joined in one page.
//
// It takes jQuery from the page, or from a loader as an AMD module or a CommonJS one does, and returns it.

import { audience } from './core.js';

function install($) {
  if (!$ || !$.Deferred) {
    throw new Error('jquery.audience.js needs jQuery 1.7 or later before it; of jQuery 4 not the slim build, which has no Deferred');
  }
  $.audience = (url, options) => {
    const deferred = $.Deferred();
    const member = audience(url, options);
    let held = []; // calls that came before the document was parsed; null from then on

    const notify = (data, parsed) => {
      const notify = () => deferred.notify(data, parsed);
      if (held) held.push(notify);
      else notify();
    };
    member.onCount((total) => notify(String(total), { total }));
    member.onMessage((message) => notify(`${message.service}=${message.text}`, message));
    member.onError(({ message, final }) => final && deferred.reject(message));
    member.addEventListener('close', () => deferred.resolve()); // does nothing once rejected

    // Pages join in a script that stands above the element that is to show the total, and counts are quick.
    $(() => {
      const early = held;
      held = null;
      early.forEach((notify) => notify());
    });

    const promise = deferred.promise();
    promise.close = () => member.close();
    return promise;
  };
  return $;
}

/** A script that stands in the page, with its jQuery there: a loader of AMD modules did not ask for it, and would complain. */
function standsInPage() {
  return globalThis.jQuery && globalThis.document?.currentScript?.async === false;
}

if (typeof define === 'function' && define.amd && !standsInPage()) define(['jquery'], install);
else if (typeof module !== 'undefined' && module.exports) module.exports = install(REQUIRE('jquery'));
else install(globalThis.jQuery);
