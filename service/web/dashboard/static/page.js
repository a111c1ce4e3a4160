// What every page can do with JavaScript and does without it: copying, the theme, going about by keyboard.
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

  // What is half filled in stays: the page is not left for its colours.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.getAttribute("action") !== "/theme" || !event.submitter) return;
    event.preventDefault();
    const wanted = event.submitter.value;
    try {
      const answer = await fetch("/theme", { method: "POST", body: new URLSearchParams({ theme: wanted }), redirect: "manual" });
      if (answer.type !== "opaqueredirect") throw new Error("refused");
    } catch {
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "theme", value: wanted });
      form.append(field);
      form.submit();
      return;
    }
    const root = document.documentElement;
    if (wanted) root.dataset.theme = wanted;
    else delete root.dataset.theme;
    document.querySelector("meta[name=color-scheme]").content = wanted || "light dark";
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === event.submitter));
  });

  const help = document.getElementById("keys");
  const search = () => document.querySelector("form[role=search] input[type=search]");
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const step = (by) => {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  const isTyping = (target) => target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]") !== null;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || (help && help.open)) return;
    const act = {
      "/": search() && (() => search().focus()),
      "?": help && (() => help.showModal()),
      ...(rows().length && {
        j: () => step(1),
        k: () => step(-1),
        o: () => rows().includes(document.activeElement) && document.activeElement.click(),
      }),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  for (const button of document.querySelectorAll("[data-help]")) button.addEventListener("click", () => help.showModal());
  for (const hint of document.querySelectorAll("[data-keys]")) hint.hidden = false;

  document.addEventListener("htmx:afterSettle", (event) => show(event.target.parentElement || document));
  show(document);
})();
