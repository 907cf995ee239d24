// Close codes in words: RFC 6455 section 7.4 and the IANA registry.

import { harmless } from "./format.js";

// In the order of the reference. A code comes before its range.
export const CODES = [
  { code: 1000, name: "Normal closure", means: "The conversation is complete; both ends are done." },
  { code: 1001, name: "Going away", means: "An end is leaving: the server is shutting down, or the page was left." },
  { code: 1002, name: "Protocol error", means: "An end received something the WebSocket protocol does not allow." },
  { code: 1003, name: "Unsupported data", means: "An end received a kind of message it does not take, such as binary where it wants text." },
  { code: 1004, name: "Reserved", means: "Has no meaning yet and must not be sent." },
  { code: 1005, name: "No status received", means: "The close frame carried no code. Only reported, never sent." },
  { code: 1006, name: "Abnormal closure", means: "The connection ended without a close frame: it was cut, or an end vanished. Only reported, never sent." },
  { code: 1007, name: "Invalid payload data", means: "A message was not what it claimed to be, such as a text that is not UTF-8." },
  { code: 1008, name: "Policy violation", means: "A message broke a rule of the other end that no other code describes." },
  { code: 1009, name: "Message too big", means: "A message was larger than the other end is willing to take." },
  { code: 1010, name: "Mandatory extension", means: "The client needs an extension the server did not agree to." },
  { code: 1011, name: "Internal error", means: "The server met a condition it could not handle." },
  { code: 1012, name: "Service restart", means: "The server restarts; connect again after a short, random delay." },
  { code: 1013, name: "Try again later", means: "The server is overloaded; connect again later, or elsewhere." },
  { code: 1014, name: "Bad gateway", means: "A gateway received an invalid answer from the server behind it." },
  { code: 1015, name: "TLS handshake failed", means: "The secure connection could not be set up. Only reported, never sent." },
  { code: 1016, to: 2999, name: "Reserved", means: "Reserved for later versions of the protocol and its extensions." },
  { code: 3000, name: "Unauthorized", means: "The endpoint needs credentials, and there were none or the wrong ones." },
  { code: 3003, name: "Forbidden", means: "The endpoint is not open to this client, whatever its credentials." },
  { code: 3008, name: "Timeout", means: "The endpoint took too long to answer." },
  { code: 3000, to: 3999, name: "Libraries and frameworks", means: "Registered with IANA by libraries, frameworks and applications." },
  { code: 4000, to: 4999, name: "Private use", means: "Defined by the applications." },
];

const UNKNOWN = { name: "Unknown", means: "Not in any range that the protocol defines." };

export function describeCode(sought) {
  return CODES.find(({ code, to = code }) => sought >= code && sought <= to) ?? UNKNOWN;
}

// What the browser's `close()` lets a page send.
export function pageMaySend(code) {
  return code === 1000 || (code >= 3000 && code <= 4999);
}

const NEVER_OPENED = "The connection did not open: nothing listens there, the certificate is not trusted, "
  + "or the server refused the handshake. Browsers do not tell pages which; "
  + "the developer tools may.";

// A close event as { title, text, good }. `ours` says whether this page asked for the close.
export function explainClose({ code, reason, wasClean }, { opened, ours }) {
  const { name, means } = describeCode(code);
  const sentences = [];
  if (!opened) sentences.push(ours ? "Cancelled before the connection opened." : NEVER_OPENED);
  else if (wasClean) sentences.push(`Closed cleanly, ${ours ? "by this page" : "by the other end"}.`, means);
  else sentences.push("Not closed cleanly.", means);
  if (reason) sentences.push(`Reason: “${harmless(reason)}”`);
  return { title: `${code} ${name}`, text: sentences.join(" "), good: wasClean && (ours || code === 1000 || code === 1001) };
}
