// Light or dark. A classic script in the head, so that the choice holds before the first paint.
"use strict";

(() => {
  const KEY = "towline-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  // Storage may be forbidden (a sandboxed frame, private windows): the choice then lasts for the page.
  const recall = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const keep = (choice) => {
    try {
      if (choice) localStorage.setItem(KEY, choice);
      else localStorage.removeItem(KEY);
    } catch { /* see above */ }
  };

  const apply = (choice) => {
    if (choice) root.dataset.theme = choice;
    else delete root.dataset.theme;
  };

  // Choosing what the system says anyway means following the system again.
  const flip = () => {
    const preferred = system.matches ? "dark" : "light";
    const shown = root.dataset.theme ?? preferred;
    const wanted = shown === "dark" ? "light" : "dark";
    const choice = wanted === preferred ? null : wanted;
    apply(choice);
    keep(choice);
  };

  const kept = recall();
  apply(kept === "light" || kept === "dark" ? kept : null);
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", flip);
  });
})();
