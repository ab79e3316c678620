// Which page this is, and signing in for it.

import { account } from "/pages/account.js";
import { button, element, fail, field, form, show } from "/pages/elements.js";
import * as handover from "/pages/handover.js";
import { invitation } from "/pages/invitation.js";
import * as passkeys from "/pages/passkeys.js";
import * as provider from "/pages/provider.js";
import { get, post, signedIn } from "/pages/service.js";

async function go(issued, ways, search) {
  signedIn(issued);
  const caller = await get("whoami");
  const asked = handover.wanted(search);
  if (asked) handover.ask(asked, caller);
  else await account(ways, caller);
}

function signIn(ways, search, problem) {
  const place = element("div", {}, problem ? fail(problem) : null);
  const trying = (act) => () => act().catch((error) => place.replaceChildren(fail(error)));
  const here = ways.passkeys && location.origin === ways.public_url && passkeys.possible();
  const others = [
    here && button("Sign in with a passkey",
      trying(async () => go(await passkeys.signIn(), ways, search)), { class: "wide-button" }),
    ways.provider && button(`Sign in at ${ways.provider}`, trying(() => provider.leave({ next: search })),
      { class: "wide-button quiet" }),
  ].filter(Boolean);
  show("Sign in", { narrow: true }, place, others,
    others.length ? element("p", { class: "or" }, "or") : null,
    form(async (given) => go(await post("sign-in", given), ways, search),
      field("Name", { name: "name", required: true, autocomplete: "username", autocapitalize: "none", spellcheck: "false" }),
      field("Password", { name: "password", type: "password", required: true, autocomplete: "current-password" }),
      field("Code of your authenticator app, or a recovery code", { name: "code", required: true, autocomplete: "one-time-code" }),
      element("button", {}, "Sign in")),
    element("p", { class: "note" }, "No account, or no way in any more? Ask the operator of this service for an ",
      element("a", { href: "/invitation" }, "invitation"), "."));
}

async function main() {
  const ways = await get("sign-in");
  const path = location.pathname;
  if (path === "/signed-in") {
    const query = new URLSearchParams(location.search);
    history.replaceState(null, "", "/signed-in");  // code and state stay in no history
    const begun = provider.kept();
    const next = begun?.next ?? "";
    try {
      await go(await provider.comeBack(query, begun), ways, next);
    } catch (error) {
      signIn(ways, next, error);
    }
  } else if (path === "/invitation") {
    invitation(ways, (issued) => go(issued, ways, ""));
  } else if (handover.wanted(location.search)?.refused) {
    handover.ask({ refused: true });
  } else {
    signIn(ways, location.search);
  }
}

main().catch((error) => show("Not now", { narrow: true }, fail(error)));
