// Taking up an invitation: a password with a second factor, or one's person at the identity provider.

import { button, element, fail, field, form, show } from "/pages/elements.js";
import * as provider from "/pages/provider.js";
import { post } from "/pages/service.js";

function factor(name, password, found, done) {
  const secret = new URL(found.totp_uri).searchParams.get("secret");
  show("Your second factor", { narrow: true },
    element("p", {}, "Scan this with your authenticator app. It is shown only now."),
    element("img", { class: "qr", src: found.totp_qr, alt: "QR code for the authenticator app" }),
    element("p", {}, "Or type this key into the app: ", element("span", { class: "secret" }, secret)),
    element("h2", {}, "Recovery codes"),
    element("p", {}, "Each signs you in once if you lose the app. Keep them where you keep important papers."),
    element("ul", { class: "codes" }, found.recovery_codes.map((code) => element("li", {}, code))),
    form(async (given) => done(await post("sign-in", { name, password, code: given.code })),
      field("Code that the app shows", { name: "code", required: true, autocomplete: "one-time-code", inputmode: "numeric" }),
      element("button", {}, "Sign in")));
}

export function invitation(ways, done) {
  const given = new URLSearchParams(location.hash.slice(1));  // never sent to the service by the browser
  history.replaceState(null, "", "/invitation");
  const place = element("div");
  const [name, code] = [
    field("Name of your account", { name: "name", required: true, value: given.get("name"), autocomplete: "username", autocapitalize: "none" }),
    field("Invitation", { name: "invitation", required: true, value: given.get("invitation"), autocomplete: "off" }),
  ];
  const made = form(async (typed) => {
    if (typed.password !== typed.again) throw new Error("The two passwords differ.");
    const body = { name: typed.name, invitation: typed.invitation, password: typed.password };
    factor(typed.name, typed.password, await post("sign-in/invitation", body), done);
  },
  name, code,
  field("New password", { name: "password", type: "password", required: true, autocomplete: "new-password" }),
  field("Once more", { name: "again", type: "password", required: true, autocomplete: "new-password" }),
  element("button", {}, "Set the password"));
  const link = ways.provider && button(`Link my account at ${ways.provider} instead`, () => {
    const typed = Object.fromEntries(new FormData(made));
    provider.leave({ next: "", name: typed.name, invitation: typed.invitation })
      .catch((error) => place.replaceChildren(fail(error)));
  }, { class: "quiet wide-button" });
  show("Take up an invitation", { narrow: true },
    element("p", { class: "note" }, "It ends all tokens that the account had."),
    place, made, link && element("p", { class: "or" }, "or"), link);
}
