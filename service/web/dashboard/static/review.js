// Keys for the forms and links of the review, and the word that somebody is still looking.
(() => {
  "use strict";
  const RENEW = 20000;

  const nobody = () => {
    const name = document.getElementById("name");
    if (!name) return;
    document.getElementById("first").textContent = "Say who you are first.";
    name.focus();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input[type=text], textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    // A button or link that has the focus takes its own space.
    if (event.key === " " && event.target.closest("button, a, summary, input, video, audio")) return;
    const found = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
    if (!found) return;
    event.preventDefault();
    if (found.matches(":disabled")) return nobody();
    // The key of a reason that is chosen already takes it back.
    const none = document.querySelector('[data-key="0"]');
    (found.matches("[type=radio]:checked") && none ? none : found).click();
  });

  const keep = () => {
    const kept = document.querySelector("[data-keep]");
    if (kept && !document.hidden) fetch(kept.dataset.keep, { method: "POST" }).catch(() => {});
  };
  setInterval(keep, RENEW);
})();
