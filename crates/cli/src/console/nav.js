// The links between the pages: which there are depends on the mode of the server.

import { ask } from "./access.js";

// Relative to this file, so that it is the same for all pages, also behind a proxy that adds to the path.
const MODE = new URL("topics.json", import.meta.url);

// The server's mode, with its topics or rooms, or null if there is no server.
export async function fetchMode() {
  try {
    const response = await ask(MODE);
    return response.ok ? await response.json() : null;
  } catch {
    return null; // the server is gone, or this page is a file
  }
}

// Why there are no topics or rooms to see.
export function whyHidden({ needs }) {
  return needs === "token"
    ? "The list needs the token: open the address that the server has printed."
    : "The list is for browsers on the server's machine.";
}

export async function beginNav() {
  const nav = document.getElementById("nav");
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset.page === document.body.className) link.setAttribute("aria-current", "page");
  }
  const mode = await fetchMode();
  for (const link of nav.querySelectorAll("a")) {
    if (location.hash.startsWith("#token=")) link.hash = location.hash; // it could not be kept
  }
  nav.hidden = mode === null;
  document.getElementById("nav-chat").hidden = mode?.mode !== "chat";
  return mode;
}
