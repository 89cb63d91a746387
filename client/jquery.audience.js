// jquery.audience.js: the API of 2011, $.audience(url), for pages that were written for it and for browsers without
// EventSource. One classic script, needs jQuery 1.7 to 4 (of jQuery 4 not the slim build: it has no Deferred).
//
//     var event = $.audience('http://YOUR-SERVER.COM/my-event').progress(function (data, parsed) { ... });
//     event.close();
//
// progress is called with each thing told, a string as ever: '42' is a total, 'service=text' a message. New pages have
// it parsed as well: {total: 42} or {service: 'service', text: 'text'}, percent-encoding not undone.
// The promise is resolved by close(), and rejected with a message when it ends by itself: the first attempt finds no
// event, or the same uuid joined elsewhere. Everything else is an interruption, and it comes back. Any number of
// events can be joined in one page.
//
// Owns: the stream, by EventSource or else by XMLHttpRequest, and when to come back after it was lost.
// Does not know: audience.js, which does the same for pages of today. A page needs one of the two, never both.
// Keeps: at most one stream open per promise, and none once it is settled.
(function ($, window) {
  'use strict';

  // The wait before a new attempt: what the daemon asked for by `retry:` plus a random part, drawn from 0 to
  // BACKOFF_MS, doubled with each failure up to BACKOFF_MAX_MS. RETRY_MAX_MS is the longest that a daemon asks for.
  var BACKOFF_MS = 1000;
  var BACKOFF_MAX_MS = 30000;
  var RETRY_MAX_MS = 60000;

  // How long the daemon may take to say whether it has sent this page away.
  var ANSWER_MAX_MS = 10000;

  // How an attempt ended.
  var UNREACHABLE = 'did not answer, or the stream was lost';
  var REFUSED = 'is no event to join: no event stream there, or this page\'s origin is not allowed';
  var FAREWELL = 'was joined anew elsewhere';

  $.audience = function (url) {
    var deferred = $.Deferred();
    var promise = deferred.promise();
    var open = window.EventSource ? openEventSource : openXhr;
    var firstAttempt = true;
    var failures = 0;
    var floorMs = 0;
    var disconnect = $.noop;
    var timer;
    var held = []; // what was told before the document was there to show it; null from then on

    function connect() {
      disconnect = open(url, tell, lose);
    }

    function tell(data) {
      firstAttempt = false;
      failures = 0;
      if (held) held.push(data);
      else notify(data);
    }

    function notify(data) {
      deferred.notify(data, parse(data));
    }

    // Pages join in a script that stands above the element that is to show the total, and counts are quick.
    $(function () {
      var early = held;
      held = null;
      $.each(early, function (_, data) {
        notify(data);
      });
    });

    function lose(how, retryMs) {
      if (how === FAREWELL || (how === REFUSED && firstAttempt)) {
        leave();
        deferred.reject(url + ' ' + how);
        return;
      }
      firstAttempt = false;
      floorMs = Math.min(retryMs || floorMs, RETRY_MAX_MS);
      // Full jitter: those who were cut off together do not come back together.
      var spanMs = Math.min(BACKOFF_MS * Math.pow(2, failures), BACKOFF_MAX_MS);
      timer = setTimeout(connect, floorMs + Math.random() * spanMs);
      failures += 1;
    }

    // A left page may be kept alive in the back/forward cache, and its stream with it: Chromium would have it counted
    // for another minute. Shown again, it joins again.
    function hide() {
      clearTimeout(timer);
      disconnect();
    }

    function show(event) {
      if (event.persisted) connect();
    }

    function leave() {
      hide();
      window.removeEventListener('pagehide', hide);
      window.removeEventListener('pageshow', show);
    }

    promise.close = function () {
      leave();
      deferred.resolve();
    };
    window.addEventListener('pagehide', hide);
    window.addEventListener('pageshow', show);
    connect();
    return promise;
  };

  function parse(data) {
    var message = /^([^=]+)=([^]*)$/.exec(data);
    if (message) return { service: message[1], text: message[2] };
    return /^\d+$/.test(data) ? { total: Number(data) } : {};
  }

  // The transports: open(url, tell, lose) opens a stream and returns how to end it without a word. `tell` hears each
  // data line; `lose`, at most once, how it ended and the daemon's `retry:` in ms as far as it is known.

  // A stream that ends is left to the browser: it alone has read `retry:`, and it sends the Last-Event-ID by which
  // the daemon knows whom it has sent away. When nobody answers, the browser would knock at the same pace for ever:
  // that is a loss. So is a status other than 200, which closes an EventSource for good.
  function openEventSource(url, tell, lose) {
    var source = new window.EventSource(url);
    var known = false; // it got a stream's head at some time: the browser may know a `retry:` and a last id
    var answered = false; // the latest attempt got one
    var lostAt = 0;
    var question; // the request that asks whether this page was sent away

    source.onopen = function () {
      known = answered = true;
    };
    source.onmessage = function (event) {
      tell(event.data);
    };
    source.onerror = function () {
      var refused = source.readyState === 2;
      var gapMs = Date.now() - lostAt;
      lostAt = Date.now();
      if (answered && !refused) {
        answered = false;
        return;
      }
      source.close();
      if (!known) lose(refused ? REFUSED : UNREACHABLE);
      else if (!refused || !hasUuid(url)) lose(UNREACHABLE, gapMs);
      else question = askWhetherSentAway(url, function (yes) {
        lose(yes ? FAREWELL : UNREACHABLE, gapMs);
      });
    };
    return function () {
      source.close();
      if (question) question.cancel();
    };
  }

  // A uuid that joined elsewhere ends this page's stream, and its return with a 204. The page sees neither the id nor
  // the status, and a proxy's 502 while its daemon restarts looks the same. So it asks: a join with the farewell's id
  // counts nobody and is answered 204, by a daemon.
  function askWhetherSentAway(url, answer) {
    var xhr = new window.XMLHttpRequest();

    function cancel() {
      xhr.onreadystatechange = null;
      xhr.abort();
    }

    xhr.open('GET', url, true);
    xhr.timeout = ANSWER_MAX_MS;
    xhr.setRequestHeader('Accept', 'text/event-stream');
    xhr.setRequestHeader('Last-Event-ID', 'farewell');
    xhr.onreadystatechange = function () {
      if (xhr.readyState < 2) return;
      var sentAway = xhr.status === 204;
      cancel();
      answer(sentAway);
    };
    xhr.send();
    return { cancel: cancel };
  }

  // For browsers without EventSource. POST as in 2011: caches and old proxies let it be.
  function openXhr(url, tell, lose) {
    var xhr = new window.XMLHttpRequest();
    var answered = false;
    var retryMs = 0;
    var offset = 0; // of the first line not read yet
    var ended = false;

    function readLines() {
      var text = xhr.responseText;
      var end;
      while (!ended && (end = text.indexOf('\n', offset)) !== -1) {
        var field = /^(data|retry): ?(.*)$/.exec(text.substring(offset, end));
        offset = end + 1;
        if (field && field[1] === 'retry') retryMs = Number(field[2]);
        else if (field) tell(field[2]);
      }
    }

    function read() {
      if (ended || xhr.readyState < 3) return;
      answered = answered || (xhr.status === 200 && /^text\/event-stream/.test(xhr.getResponseHeader('Content-Type')));
      if (answered) readLines();
      if (ended || xhr.readyState !== 4) return; // ended: by what a line led the page to do
      ended = true;
      if (retryMs < 0) lose(FAREWELL);
      else lose(answered || xhr.status === 0 ? UNREACHABLE : REFUSED, retryMs);
    }

    xhr.open('POST', url, true);
    xhr.setRequestHeader('Accept', 'text/event-stream');
    xhr.onprogress = xhr.onreadystatechange = read;
    xhr.send();
    return function () {
      ended = true;
      xhr.abort();
    };
  }

  function hasUuid(url) {
    var link = document.createElement('a');
    link.href = url;
    return /^\/?[^\/]+\/[^\/]+$/.test(link.pathname);
  }
}(jQuery, window));
