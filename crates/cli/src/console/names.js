// The rules for names of rooms and people, as the server has them (serve/modes/names.rs): a page can't read why
// its handshake was refused.

const MAX_ROOM = 64;
const MAX_NAME = 32;

// Controls, what reorders text or breaks a line, and what does not show; joiners are a part of names.
const HIDDEN = /[\p{Cc}\u2028\u2029]|(?![\u200c\u200d\ufe0e\ufe0f])\p{Default_Ignorable_Code_Point}/u;
const JOINERS = /[\u200c\u200d\ufe0e\ufe0f]/g;

// Why the server refuses this name of a person, or null. Without one, the server gives a name.
export function whyNoName(name) {
  if (name.includes(":") || name.startsWith("*")) return "a name has no colon, and does not begin with an asterisk";
  return whyNot(name, "person", MAX_NAME);
}

// Why there is no such room, or null.
export function whyNoRoom(room) {
  // A URL can't have them: they lead to the path above.
  if (room.split("/").some((part) => part === "." || part === "..")) return "no part of a room's name is . or ..";
  return whyNot(room.replace(/^\/+|\/+$/g, ""), "room", MAX_ROOM);
}

function whyNot(name, of, limit) {
  const length = [...name].length;
  if (length > limit) return `the name of a ${of} has ${length} characters; the limit is ${limit}`;
  const isShown = !HIDDEN.test(name) && (name === "" || name.replace(JOINERS, "") !== "");
  return isShown ? null : `the name of a ${of} has a control or invisible character`;
}
