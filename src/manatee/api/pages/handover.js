// A program on this computer asked for a token of its own: whether it gets one, the person says here.

import { button, element, fail, show } from "/pages/elements.js";
import { post } from "/pages/service.js";

const PROGRAMS = {
  console: ["ManaTEE's console", ["read", "submit", "project", "approve", "review", "publish"]],
  lab: ["ManaTEE's JupyterLab", ["read", "submit"]],
  "command line": ["The manatee command", ["read", "submit", "project", "approve", "review", "publish"]],
};

export function wanted(search) {
  const query = new URLSearchParams(search);
  if (!query.has("return_to")) return null;
  const found = {
    program: query.get("program") ?? "",
    returnTo: query.get("return_to"),
    state: query.get("state") ?? "",
    challenge: query.get("challenge") ?? "",
  };
  const fits =
    /^http:\/\/(127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}\/[a-z-]*$/.test(found.returnTo) &&
    /^[A-Za-z0-9_-]{43}$/.test(found.challenge) &&
    /^[A-Za-z0-9_-]{16,128}$/.test(found.state) &&
    Object.hasOwn(PROGRAMS, found.program);
  return fits ? found : { refused: true };
}

export function ask(asked, caller) {
  if (asked.refused) {
    show("Sign in", { narrow: true }, fail(new Error(
      "This address asks for a token in a way that no program of ManaTEE does. Close this page.")));
    return;
  }
  const [name, scopes] = PROGRAMS[asked.program];
  const answer = async () => {
    const body = { label: `${asked.program} on my computer`, scopes, challenge: asked.challenge };
    const { code } = await post("tokens/handover", body);
    location.assign(`${asked.returnTo}?${new URLSearchParams({ code, state: asked.state })}`);
  };
  const place = element("div");
  show("Let a program act as you?", { narrow: true },
    element("p", {}, element("strong", {}, name), " on this computer asks to act as ",
      element("strong", {}, caller.name), " for eight hours: ", scopes.join(", "), "."),
    element("p", { class: "note" }, "Say yes only if you have just started it yourself."),
    place,
    button("Yes, let it", () => answer().catch((error) => place.replaceChildren(fail(error)))),
    " ",
    button("No", () => show("Nothing was given", { narrow: true },
      element("p", {}, "The program got nothing. You can close this page.")), { class: "quiet" }));
}
