import { Observable } from "./observable.js";

const STORED = "turnwire-token";
const IN_ADDRESS = /^#token=([\w.-]+)$/;

/** The token that this tab has, if the gateway asks for one. It is kept until the tab is closed. */
class Credential extends Observable {
  constructor() {
    super();
    this.token = taken() ?? stored();
    /** Whether the gateway has refused what the page has. */
    this.isRefused = false;
  }

  refused() {
    if (this.isRefused) return;
    this.isRefused = true;
    this.changed();
  }

  /** Begin again with this token. */
  use(token) {
    store(token);
    location.reload();
  }

  /** The header of a request. */
  get headers() {
    return this.token === null ? {} : { authorization: `Bearer ${this.token}` };
  }

  /** What a WebSocket asks for beside its own subprotocol: browsers let a page set no header there. */
  get subprotocols() {
    return this.token === null ? [] : [`turnwire.bearer.${this.token}`];
  }

  /** Whether the token lets its holder do this, as far as it says so itself; the gateway decides. */
  may(scope) {
    const scopes = scopesOf(this.token);
    return scopes === null || scopes.includes(scope) || scopes.includes("admin");
  }
}

/** The token of a link that logs in. It is taken out of the address, so that nobody reads it there. */
function taken() {
  const found = IN_ADDRESS.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", "#/");
  store(found[1]);
  return found[1];
}

function stored() {
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
    // it holds until the page is left
  }
}

/** The scopes that a JWT names; null for a key, which says nothing of itself. */
function scopesOf(token) {
  try {
    const [, claims] = token.split(".");
    const { scope } = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/")));
    return typeof scope === "string" ? scope.split(" ") : null;
  } catch {
    return null;
  }
}

export const credential = new Credential();
