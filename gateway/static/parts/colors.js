// The style sheet's colours, for canvases, which cannot use CSS variables.
import { useEffect, useState } from "./view.js";

const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);

/** The current value of a colour of the style sheet, such as `user`. */
export function color(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** A number that changes whenever the colours change. */
export function useTheme() {
  const [version, setVersion] = useState(0);
  useEffect(() => {
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    const update = () => setVersion((number) => number + 1);
    media.addEventListener("change", update);
    window.addEventListener("themechange", update);
    return () => {
      media.removeEventListener("change", update);
      window.removeEventListener("themechange", update);
    };
  }, []);
  return version;
}
