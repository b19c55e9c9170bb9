import { Observable } from "./observable.js";

const STORED = "turnwire-token";
const IN_ADDRESS = /^#token=([\w.-]+)$/;

/** The token that this tab uses, if any. It is kept until the tab is closed. */
class Credential extends Observable {
  constructor() {
    super();
    this.token = tokenFromLink() ?? storedToken();
    /** Whether the gateway has refused the token, or the lack of one. */
    this.isRefused = false;
  }

  refused() {
    if (this.isRefused) return;
    this.isRefused = true;
    this.changed();
  }

  /** Store this token and reload the page. */
  use(token) {
    store(token);
    location.reload();
  }

  /** The headers of a request that carry the token. */
  get headers() {
    return this.token === null ? {} : { authorization: `Bearer ${this.token}` };
  }

  /** Whether the token claims this scope, or does not list its scopes. The gateway decides in the end. */
  may(scope) {
    const scopes = scopesOf(claimsOf(this.token));
    return scopes === null || scopes.includes(scope) || scopes.includes("admin");
  }

  /** Whether the token is for all sessions, or does not list its scopes. Sums over sessions need such a token. */
  get coversAll() {
    const claims = claimsOf(this.token);
    const scopes = scopesOf(claims);
    return scopes === null || scopes.includes("admin") || (claims.sessions ?? []).includes("*");
  }
}

/** The token in a login link. It is removed from the address, so that nobody reads it there. */
function tokenFromLink() {
  const found = IN_ADDRESS.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", "#/");
  store(found[1]);
  return found[1];
}

function storedToken() {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null; // storage is off
  }
}

function store(token) {
  try {
    sessionStorage.setItem(STORED, token);
  } catch {
    // storage is off: the token lasts until the page is left
  }
}

/** The claims of a JWT; null for an API key, which has none. */
function claimsOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return null;
  }
}

const scopesOf = (claims) => (typeof claims?.scope === "string" ? claims.scope.split(" ") : null);

export const credential = new Credential();
