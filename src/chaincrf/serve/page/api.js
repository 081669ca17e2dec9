// Requests to the server; the newest of a kind wins.

let token = sessionStorage.getItem("token") || "";
const running = new Map();

export class Refused extends Error {
  constructor(status, detail) {
    const parts = detail.map(({ loc, msg }) => (loc.length ? `${loc.join(".")}: ${msg}` : msg));
    super(parts.join("; ") || `status ${status}`);
    this.status = status;
  }
}

export function useToken(value) {
  token = value.trim();
  sessionStorage.setItem("token", token);
}

export const hasToken = () => token !== "";

async function ask(path, options, kind) {
  running.get(kind)?.abort();
  const abort = new AbortController();
  running.set(kind, abort);
  const headers = { ...options.headers, ...(token && { authorization: `Bearer ${token}` }) };
  const response = await fetch(path, { ...options, headers, signal: abort.signal });
  const content = await response.json();
  if (!response.ok) throw new Refused(response.status, content.detail ?? []);
  return content;
}

export const get = (path) => ask(path, {}, path);

export const post = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }, path);
