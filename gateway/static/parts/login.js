import { credential } from "../data/credential.js";
import { html, useTitle } from "./view.js";

/** Asks for a token, where the gateway wants one. */
export function Login() {
  useTitle("Log in · Turnwire");
  const submit = (event) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget).get("token").trim();
    if (token) credential.use(token);
  };
  return html`<main class="login" aria-labelledby="login-title">
    <h1 id="login-title">This gateway asks who you are</h1>
    ${credential.token !== null && html`<p class="notice" role="alert">The token that this page has is not accepted, or has expired.</p>`}
    <form onSubmit=${submit}>
      <label>Token <input name="token" type="password" autocomplete="off" required autofocus /></label>
      <button type="submit">Log in</button>
    </form>
    <p class="soft">It needs the scopes <code>session:read session:list</code>, and <code>metrics</code> for the gateway's own
      figures. It is kept until this tab is closed.</p>
  </main>`;
}
