// What every page can do with JavaScript and does without it: copying, and a menu that is open where there is room.
(() => {
  "use strict";
  const show = (root) => {
    for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });

  const menu = document.querySelector("details.menu");
  const wide = window.matchMedia("(min-width: 60rem)");
  const unfold = () => { if (menu) menu.open = wide.matches; };
  wide.addEventListener("change", unfold);
  unfold();

  document.addEventListener("htmx:afterSettle", (event) => show(event.target.parentElement || document));
  show(document);
})();
