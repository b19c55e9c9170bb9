// Plots by uPlot, which is loaded when the first plot is shown.
import { color, useTheme } from "./colors.js";
import { html, useEffect, useRef } from "./view.js";

let loading = null;

function loadPlots() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "static/vendor/uplot.js";
    script.onload = () => resolve(window.uPlot);
    script.onerror = () => {
      loading = null;
      reject(new Error("uPlot cannot be loaded"));
    };
    document.head.append(script);
  });
  return loading;
}

function styled(options) {
  const axis = {
    stroke: color("soft"),
    grid: { stroke: color("line"), width: 1 },
    ticks: { stroke: color("line"), width: 1, size: 4 },
    font: "11px system-ui, sans-serif",
  };
  return {
    padding: [8, 8, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
    ...options,
    axes: options.axes.map((own) => ({ ...axis, ...own })),
  };
}

/** A plot. `options(uPlot)` returns uPlot's options without a width; `data` is uPlot's; `label` is for screen readers. */
export function Plot({ options, data, label }) {
  const holder = useRef(null);
  const plot = useRef(null);
  const latest = useRef(data);
  latest.current = data;
  const theme = useTheme();

  useEffect(() => {
    let gone = false;
    const element = holder.current;
    const observer = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: plot.current.height }),
    );
    loadPlots().then(
      (Plots) => {
        if (gone) return;
        const made = styled(options(Plots));
        plot.current = new Plots({ ...made, width: element.clientWidth }, latest.current, element);
        observer.observe(element);
      },
      () => {},
    );
    return () => {
      gone = true;
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [theme]);
  useEffect(() => plot.current?.setData(data), [data]);
  return html`<div class="plot" ref=${holder} role="img" aria-label=${label}></div>`;
}
