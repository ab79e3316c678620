// One's own account: passkeys, tokens, memberships.

import { button, element, fail, field, form, show } from "/pages/elements.js";
import * as passkeys from "/pages/passkeys.js";
import { get, ownToken, remove, signOut } from "/pages/service.js";

const day = (moment) => new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

const row = (title, note, ...actions) =>
  element("li", {}, element("div", {}, element("strong", {}, title), element("small", {}, note)), ...actions);

function list(items, empty) {
  return items.length ? element("ul", { class: "rows" }, items) : element("p", { class: "note" }, empty);
}

async function ofPasskeys(ways, again) {
  if (!ways.passkeys) {
    return element("p", { class: "note" }, "The operator of this service has not turned passkeys on.");
  }
  const { passkeys: found } = await get("passkeys");
  const items = found.map((item) =>
    row(item.label, `since ${day(item.created_at)}`,
      button("Remove", () => again(() => remove(`passkeys/${encodeURIComponent(item.id)}`), `Passkey ${item.label} removed.`),
        { class: "quiet small", "aria-label": `Remove passkey ${item.label}` })));
  if (location.origin !== ways.public_url) {
    const there = element("a", { href: `${ways.public_url}/account` }, ways.public_url);
    return [list(items, "None yet."), element("p", { class: "note" }, "Passkeys are added at ", there, ".")];
  }
  if (!passkeys.possible()) {
    return [list(items, "None yet."), element("p", { class: "note" }, "This browser cannot make passkeys.")];
  }
  const add = form((given) => again(() => passkeys.register(given.label), `Passkey ${given.label} added.`),
    element("div", { class: "ask" },
      element("div", {}, field("Name of a new passkey", { name: "label", required: true, maxlength: 80, pattern: "[ -~]+", placeholder: "work laptop", autocomplete: "off" })),
      element("button", {}, "Add a passkey")));
  return [list(items, "None yet. With one you sign in without password and code."), add];
}

async function ofTokens(again) {
  const { tokens } = await get("tokens");
  const own = ownToken().id;
  return list(tokens.map((item) =>
    row(item.id === own ? `${item.label} (this page)` : item.label,
      `${item.scopes.join(", ")} · until ${day(item.expires_at)}` +
        (item.last_used_on ? ` · last used on ${item.last_used_on}` : ""),
      item.id === own ? null
        : button("Revoke", () => again(() => remove(`tokens/${item.id}`), `Token ${item.label} revoked.`),
          { class: "quiet small", "aria-label": `Revoke token ${item.label}` }))), "None.");
}

export async function account(ways, caller, note) {
  const place = element("div", { role: "status" }, note ? element("p", { class: "done" }, note) : null);
  const again = async (act, said) => {
    try {
      await act();
      await account(ways, caller, said);
    } catch (error) {
      place.replaceChildren(fail(error));
    }
  };
  document.getElementById("who").replaceChildren(caller.name, " ",
    button("Sign out", async () => { await signOut(); location.assign("/sign-in"); }, { class: "quiet small" }));
  const held = caller.memberships.map((item) =>
    row(item.organisation, `${item.role.replaceAll("_", " ")}` +
      (item.expires_at ? ` until ${day(item.expires_at)}` : "")));
  const [keys, tokens] = [await ofPasskeys(ways, again), await ofTokens(again)];
  show("Your account", {}, place,
    element("h2", {}, "Passkeys"), keys,
    element("h2", {}, "Tokens"), tokens,
    element("p", { class: "note" }, "For a program: ", element("code", {}, "manatee token new LABEL --scope read"), ". Leaving this page ends its own token."),
    element("h2", {}, "What you are where"), list(held, "You are a member of no organisation."));
}
