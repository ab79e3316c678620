// The service's API, as one page uses it. The token lives in this module's memory and nowhere else:
// a reload forgets it, and leaving the page revokes it.

let token = null;
let entry = null;

export class Refused extends Error {
  constructor(problem, status) {
    super([problem.detail, problem.hint].filter(Boolean).join(" ") || `The service answered ${status}.`);
    this.status = status;
    this.code = problem.code;
  }
}

async function call(method, path, body, options = {}) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`/v1/${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      ...options,
    });
  } catch {
    throw new Refused({ detail: "The service does not answer.", hint: "Try again in a moment." }, 0);
  }
  const text = await answer.text();
  const found = text ? JSON.parse(text) : null;
  if (!answer.ok) throw new Refused(found ?? {}, answer.status);
  return found;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

export function signedIn(issued) {
  token = issued.token;
  entry = issued.entry;
}

export const ownToken = () => entry;

export async function signOut() {
  if (!token) return;
  const id = entry.id;
  const gone = call("DELETE", `tokens/${id}`, undefined, { keepalive: true });
  token = entry = null;
  await gone.catch(() => {});
}

addEventListener("pagehide", () => void signOut());
addEventListener("pageshow", (event) => event.persisted && location.reload());
