// Sizes, times and bytes as people read them.

const encoder = new TextEncoder();

export function utf8Length(text) {
  return encoder.encode(text).length;
}

export function formatSize(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

// The size of a message deflated on its own, by the browser. Pages can't see the size on the wire.
export async function deflatedSize(payload) {
  const deflated = new Blob([payload]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  return (await new Response(deflated).arrayBuffer()).byteLength;
}

export function formatCount(count) {
  return count.toLocaleString("en");
}

export function formatRate(perSecond) {
  const digits = perSecond > 0 && perSecond < 9.95 ? 1 : 0;
  return `${perSecond.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}/s`;
}

export function formatMilliseconds(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms >= 100 ? 0 : ms >= 10 ? 1 : 2)} ms`;
}

// Local time with milliseconds, by hand: `Intl` is too slow for thousands of rows a second.
export function formatClock(date) {
  const pad = (number, digits) => String(number).padStart(digits, "0");
  return `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}.${pad(date.getMilliseconds(), 3)}`;
}

// What would reorder a text or hide in it, as in `towline connect`: controls except tabs and line ends, and
// the marks of bidirectional text.
// eslint-disable-next-line no-control-regex
const OBEYED = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

// The text with these written out: `\u{202e}`.
export function harmless(text) {
  return text.replace(OBEYED, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`);
}

// The start of a text on one line.
export function previewText(text, length) {
  const start = harmless(text.slice(0, length)).replace(/\r\n|\r|\n/g, " ⏎ ").replaceAll("\t", " ");
  return text.length > length ? `${start}…` : start;
}

export function previewBytes(bytes, length) {
  const start = Array.from(bytes.subarray(0, length), hexByte).join(" ");
  return bytes.length > length ? `${start} …` : start;
}

// A hex dump: offset, bytes and printable ASCII.
export function hexDump(bytes, perLine) {
  const lines = [];
  for (let offset = 0; offset < bytes.length; offset += perLine) {
    const part = bytes.subarray(offset, offset + perLine);
    const hex = Array.from(part, hexByte).join(" ").padEnd(perLine * 3 - 1);
    const ascii = Array.from(part, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${offset.toString(16).padStart(4, "0")}  ${hex}  ${ascii}`);
  }
  return lines.join("\n");
}

function hexByte(byte) {
  return byte.toString(16).padStart(2, "0");
}
