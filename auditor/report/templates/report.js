"use strict";
(() => {
  const root = document.documentElement;
  const form = document.getElementById("filters");
  root.classList.add("js");

  const command = (block) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy command");
    block.classList.add("copies");
    block.append(button);
  };
  const withButtons = (details) => details.querySelectorAll(".command:not(.copies)").forEach(command);
  document.addEventListener("toggle", (event) => {
    if (event.target.open) withButtons(event.target);
  }, true);

  const select = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  const copied = (button, ok) => {
    button.textContent = ok ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".command button");
    if (!button) return;
    const code = button.parentElement.querySelector("code");
    const byHand = () => { select(code); copied(button, document.execCommand("copy")); };
    if (!navigator.clipboard) { byHand(); return; }
    navigator.clipboard.writeText(code.textContent).then(() => copied(button, true), byHand);
  });

  if (!form) return;
  const rows = [...document.querySelectorAll(".finding")];
  const chunks = [...document.querySelectorAll(".chunk")];
  const controls = [...form.querySelectorAll("[data-filter]")];
  const shown = document.getElementById("shown");
  const nothing = document.getElementById("nothing");
  const texts = new Map();
  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, (row.firstElementChild.textContent + " " + row.dataset.text).toLowerCase());
    return texts.get(row);
  };
  const matches = (row, wanted) => wanted.every(([name, value]) => (
    name === "q" ? value.toLowerCase().split(/\s+/).every((word) => textOf(row).includes(word)) : row.dataset[name] === value
  ));
  const valueOf = (control) => (control.dataset.filter === "q" ? control.value.trim() : control.value);
  const wantedNow = () => controls.filter(valueOf).map((control) => [control.dataset.filter, valueOf(control)]);

  const empty = () => controls.forEach((control) => { control.value = ""; });

  const show = () => {
    const wanted = wantedNow();
    let number = 0;
    for (const row of rows) {
      const fits = matches(row, wanted);
      row.hidden = !fits;
      number += fits;
    }
    for (const chunk of chunks) {
      const full = [...chunk.children].some((row) => !row.hidden);
      chunk.hidden = !full;
    }
    controls.forEach((control) => control.classList.toggle("on", Boolean(valueOf(control))));
    shown.textContent = number.toLocaleString("en");
    nothing.hidden = number > 0;
    document.getElementById("clear").disabled = wanted.length === 0;
  };
  const keep = () => {
    const fragment = new URLSearchParams(wantedNow()).toString();
    history.replaceState(null, "", fragment ? "#" + fragment : location.pathname + location.search);
  };
  const restore = () => {
    const fragment = location.hash.slice(1);
    const target = fragment && document.getElementById(fragment);
    if (target && target.matches("details")) {
      target.open = true;
      if (target.hidden) { empty(); show(); }
      target.scrollIntoView();
      return false;
    }
    if (!fragment) empty();
    if (!fragment.includes("=")) return false;
    const wanted = new URLSearchParams(fragment);
    for (const control of controls) {
      const value = wanted.get(control.dataset.filter) || "";
      control.value = value;
      if (control.value !== value) control.value = "";
    }
    return true;
  };

  form.addEventListener("input", () => { show(); keep(); });
  document.getElementById("clear").addEventListener("click", () => {
    empty();
    controls[0].focus();
    show();
    keep();
  });
  const all = (open) => rows.forEach((row) => { if (!row.hidden) row.open = open; });
  document.getElementById("expand").addEventListener("click", () => all(true));
  document.getElementById("collapse").addEventListener("click", () => all(false));
  const follow = () => {
    const filtered = restore();
    show();
    if (!filtered) return;
    const findings = document.getElementById("findings");
    findings.scrollIntoView();
    findings.focus({ preventScroll: true });
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash.includes("=") && link.hash === location.hash) follow();
  });
  follow();
})();
