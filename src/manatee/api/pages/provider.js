// Signing in at the identity provider. What this browser began is kept in its own tab until the
// provider sends it back; an answer that fits no such beginning is nobody's.

import { post } from "/pages/service.js";

const KEPT = "manatee-sign-in";

export async function leave(more = {}) {
  const begun = await post("sign-in/provider");
  sessionStorage.setItem(KEPT, JSON.stringify({ flow: begun.flow, next: location.search, ...more }));
  location.assign(begun.url);
}

export function kept() {
  const text = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  return text ? JSON.parse(text) : null;
}

export async function comeBack(query, begun) {
  const said = query.get("error");
  if (said) throw new Error("The identity provider did not sign you in.");
  if (!begun) throw new Error("This browser tab began no sign-in that this answers. Begin again.");
  const body = { flow: begun.flow, state: query.get("state") ?? "", code: query.get("code") ?? "" };
  if (query.get("iss")) body.issuer = query.get("iss");
  if (begun.invitation) Object.assign(body, { invitation: begun.invitation, name: begun.name });
  return post("sign-in/provider/return", body);
}
