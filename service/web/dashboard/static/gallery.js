// Arrows go from picture to picture, and Escape closes the one that is open: they press the links that are there.
(() => {
  "use strict";
  const panel = () => document.getElementById("panel");
  const isOpen = () => panel() && !panel().hidden;
  const press = (name) => {
    const link = panel().querySelector(`[data-to="${name}"]`);
    if (link) link.click();
    return link !== null;
  };

  // Into what the panel leaves free; on a wide screen it hides the last columns, whose tiles it shows anyway.
  const follow = () => {
    const tile = document.querySelector("[data-tile][aria-current]");
    if (!tile) return;
    const free = window.matchMedia("(min-width: 60rem)").matches ? window.innerHeight : panel().getBoundingClientRect().top;
    const { top, bottom } = tile.getBoundingClientRect();
    if (top < 0) window.scrollBy(0, top - 8);
    else if (bottom > free) window.scrollBy(0, Math.min(bottom - free + 8, top - 8));
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, video")) return;
    const name = { ArrowRight: "next", ArrowLeft: "previous", Escape: "close" }[event.key];
    if (name && isOpen()) {
      if (press(name)) event.preventDefault();
      return;
    }
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const tiles = [...document.querySelectorAll("[data-tile]")];
    const at = tiles.indexOf(document.activeElement);
    if (!by || (at < 0 && document.activeElement !== document.body)) return;
    const next = tiles[at < 0 ? 0 : Math.min(Math.max(at + by, 0), tiles.length - 1)];
    if (next) {
      next.focus();
      event.preventDefault();
    }
  });

  let last = null;
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id !== "panel") return;
    const name = new URLSearchParams(window.location.search).get("open");
    for (const tile of document.querySelectorAll("[data-tile]")) {
      if (tile.dataset.tile === name) tile.setAttribute("aria-current", "true");
      else tile.removeAttribute("aria-current");
    }
    if (isOpen()) {
      panel().focus({ preventScroll: true });
      follow();
    }
    else {
      const tile = document.querySelector(`[data-tile="${CSS.escape(last || "")}"]`);
      if (tile) tile.focus();
    }
    last = name || last;
  });
  last = new URLSearchParams(window.location.search).get("open");
  if (isOpen()) follow();
})();
