// An OpenID Connect provider with two clients; everybody who names themselves may sign in.
// Arguments: port, redirect URI, secret of the client "manatee".
import { Provider } from "oidc-provider";

const [port, redirect, secret] = process.argv.slice(2);
const device = "urn:ietf:params:oauth:grant-type:device_code";
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "manatee",
      client_secret: secret,
      token_endpoint_auth_method: "client_secret_post",
      redirect_uris: [redirect],
      grant_types: ["authorization_code", device],
      response_types: ["code"],
    },
    {
      client_id: "other",
      token_endpoint_auth_method: "none",
      redirect_uris: [redirect],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  cookies: { keys: ["of a test"] },
  features: { deviceFlow: { enabled: true } },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, email: "alice@example.com" }) }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
