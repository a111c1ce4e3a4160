// One event stream while the tab is looked at: browsers allow six connections to a host, and tabs are many.
(() => {
  "use strict";
  // What a reader has opened stays open: no page of the server knows of it.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.matches("details, dialog"));

  const away = document.getElementById("away");
  const waitsForRedis = document.querySelector("[data-recover]") !== null;
  let stream = null;

  const seeing = (gone) => {
    if (away && !waitsForRedis) away.hidden = !gone;
  };

  const listen = () => {
    if (stream || document.hidden) return;
    stream = new EventSource("/live");
    stream.addEventListener("changed", () => {
      seeing(false);
      if (waitsForRedis) window.location.reload();
      else if (!document.body.dataset.still) htmx.trigger(document.body, "changed");
    });
    stream.addEventListener("away", () => seeing(true));
    stream.onerror = () => {
      // A refused stream is not tried again by the browser; a broken one is, by itself.
      if (stream && stream.readyState === EventSource.CLOSED) {
        stream = null;
        setTimeout(listen, 5000);
      }
    };
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden && stream) {
      stream.close();
      stream = null;
    } else listen();
  });
  window.addEventListener("pagehide", () => {
    if (stream) stream.close();
    stream = null;
  });
  window.addEventListener("pageshow", listen);
  listen();
})();
