// Preact with htm, and the hooks that components share.

import htm from "../vendor/htm.js";
import { h, render } from "../vendor/preact.js";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-hooks.js";

export const html = htm.bind(h);
export { render, useEffect, useLayoutEffect, useMemo, useRef, useState };

/** Render again whenever the observable has changed. */
export function useObservable(observable) {
  const [, setVersion] = useState(observable.version);
  useEffect(() => {
    setVersion(observable.version); // it may have changed since the rendering
    return observable.watch(() => setVersion(observable.version));
  }, [observable]);
  return observable;
}

/** Render again every `interval` milliseconds. Returns the current time. */
export function useClock(interval = 1000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), interval);
    return () => clearInterval(timer);
  }, [interval]);
  return now;
}

/** Whether a media query matches. Renders again when that changes. */
export function useMedia(query) {
  const media = useMemo(() => window.matchMedia(query), [query]);
  const [matches, setMatches] = useState(media.matches);
  useEffect(() => {
    const update = () => setMatches(media.matches);
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, [media]);
  return matches;
}

export const NARROW = "(max-width: 760px)";

const INTERACTIVE = "a, button, input, select, textarea, summary, [contenteditable]";

/** Call `act` on a key, unless the focused element uses keys itself or a dialog is open. */
export function useKey(key, act) {
  const latest = useRef(act);
  latest.current = act;
  useLayoutEffect(() => {
    const onKey = (event) => {
      if (event.key !== key || event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
      const typing = event.target.matches?.(key === " " ? INTERACTIVE : "input, select, textarea");
      if (typing || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      latest.current(event);
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [key]);
}

/** Set the title of the browser's tab. */
export function useTitle(title) {
  useEffect(() => {
    document.title = title;
  }, [title]);
}
