// The links between the pages: which there are depends on the mode of the server.

// Relative to this file, so that it is the same for all pages, also behind a proxy that adds to the path.
const MODE = new URL("topics.json", import.meta.url);

// The server's mode, with its topics or rooms, or null if there is no server.
export async function fetchMode() {
  try {
    const response = await fetch(MODE);
    return response.ok ? await response.json() : null;
  } catch {
    return null; // the server is gone, or this page is a file
  }
}

export async function beginNav() {
  const mode = await fetchMode();
  document.getElementById("nav").hidden = mode === null;
  document.getElementById("nav-chat").hidden = mode?.mode !== "chat";
  return mode;
}
