// WebAuthn. Options and answers are the service's and the browser's own JSON.

import { post } from "/pages/service.js";

export const possible = () =>
  Boolean(globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON) && isSecureContext;

const said = (error) =>
  error.name === "NotAllowedError"
    ? new Error("No passkey was given: it was cancelled, or took too long.")
    : error.name === "InvalidStateError"
      ? new Error("This device holds a passkey for this account already.")
      : error;

export async function register(label) {
  const begun = await post("passkeys/options");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(begun.options));
  const made = await navigator.credentials.create({ publicKey }).catch((error) => {
    throw said(error);
  });
  return post("passkeys", { flow: begun.flow, credential: JSON.stringify(made.toJSON()), label });
}

export async function signIn() {
  const begun = await post("sign-in/passkey/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(begun.options));
  const signed = await navigator.credentials.get({ publicKey }).catch((error) => {
    throw said(error);
  });
  return post("sign-in/passkey", { flow: begun.flow, credential: JSON.stringify(signed.toJSON()) });
}
