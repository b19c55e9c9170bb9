import { credential } from "../data/credential.js";
import { html, useTitle } from "./view.js";

/** The page that asks for a token if the gateway requires one. */
export function Login() {
  useTitle("Log in · Turnwire");
  const submit = (event) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget).get("token").trim();
    if (token) credential.use(token);
  };
  return html`<main class="login" aria-labelledby="login-title">
    <h1 id="login-title">Log in to this gateway</h1>
    ${credential.token !== null && html`<p class="notice" role="alert">The gateway did not accept the token, or the token has expired.</p>`}
    <form onSubmit=${submit}>
      <label>Token <input name="token" type="password" autocomplete="off" required autofocus /></label>
      <button type="submit">Log in</button>
    </form>
    <p class="soft">The token needs the scopes <code>session:read session:list</code>, and <code>metrics</code> for the Gateway
      page. It is kept until this tab is closed.</p>
  </main>`;
}
