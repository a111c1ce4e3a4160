// The completion of a query. Without this the same page is searched and read as well.
(() => {
  "use strict";
  const input = document.getElementById("query");
  const box = document.getElementById("query-options");

  if (!input || !box) return;
  const vocabulary = JSON.parse(input.dataset.vocabulary);
  let chosen = -1;
  input.removeAttribute("list");
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-autocomplete": "list", "aria-controls": box.id, "aria-expanded": "false",
  })) input.setAttribute(name, value);

  // The word that the cursor is in: where it begins, and what is written of it so far.
  const word = () => {
    const end = input.selectionStart ?? input.value.length;
    const start = input.value.lastIndexOf(" ", end - 1) + 1;
    return { start, end, text: input.value.slice(start, end) };
  };
  const found = (text) => {
    const colon = text.indexOf(":");
    if (colon < 0) return Object.keys(vocabulary).filter((name) => name.startsWith(text)).map((name) => (name.endsWith(".") ? name : `${name}:`));
    const name = text.slice(0, colon);
    const begun = text.slice(colon + 1).toLowerCase();
    return (vocabulary[name] || []).filter((value) => value.toLowerCase().includes(begun) && value !== text.slice(colon + 1)).slice(0, 30).map((value) => `${name}:${value}`);
  };
  const close = () => {
    box.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const choose = (index) => {
    const options = [...box.children];
    chosen = (index + options.length) % options.length;
    options.forEach((option, n) => option.setAttribute("aria-selected", n === chosen ? "true" : "false"));
    input.setAttribute("aria-activedescendant", options[chosen].id);
    options[chosen].scrollIntoView({ block: "nearest" });
  };
  const show = () => {
    const options = found(word().text);
    if (!options.length) return close();
    chosen = -1;
    box.replaceChildren(...options.map((text, n) => {
      const option = document.createElement("li");
      option.id = `query-option-${n}`;
      option.role = "option";
      option.setAttribute("aria-selected", "false");
      option.textContent = text;
      return option;
    }));
    box.hidden = false;
    input.setAttribute("aria-expanded", "true");
    input.removeAttribute("aria-activedescendant");
  };
  const take = (text) => {
    const { start, end } = word();
    const open = text.endsWith(":") || text.endsWith(".");
    const rest = input.value.slice(end).trimStart();
    input.value = input.value.slice(0, start) + text + (open ? "" : " ") + rest;
    const at = start + text.length + (open ? 0 : 1);
    input.setSelectionRange(at, at);
    if (open) show();
    else close();
  };

  input.addEventListener("input", show);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (box.hidden) input.blur();
      else close();
      event.preventDefault();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (box.hidden) show();
      if (!box.hidden) choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? -1 : chosen - 1);
      event.preventDefault();
    } else if (!box.hidden && ((event.key === "Enter" && chosen >= 0) || (event.key === "Tab" && !event.shiftKey))) {
      take(box.children[Math.max(chosen, 0)].textContent);
      event.preventDefault();
    }
  });
  // Before the field loses its focus.
  box.addEventListener("mousedown", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) take(option.textContent);
    event.preventDefault();
  });
})();
