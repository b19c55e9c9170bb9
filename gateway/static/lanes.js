// Who spoke when: two lanes over the time of the call.
import { color, useTheme } from "./colors.js";
import { duration } from "./times.js";
import { html, useLayoutEffect, useRef, useState } from "./view.js";

const LANE = 22;
const GAP = 4;
const LABEL = 38;
const AXIS = 18;
const HEIGHT = 2 * LANE + GAP + AXIS;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000];

/** `playhead` is null at the end. `onPick(ms)` is told of a click. */
export function Lanes({ transcript, version, playhead, onPick }) {
  const canvas = useRef(null);
  const [width, setWidth] = useState(0);
  const theme = useTheme();
  const end = Math.max(1000, transcript.end);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setWidth(canvas.current?.clientWidth ?? 0));
    observer.observe(canvas.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (width) draw(canvas.current, width, transcript, end, playhead);
  }, [width, theme, version, playhead, transcript]);

  const pick = (event) => {
    const x = event.clientX - canvas.current.getBoundingClientRect().left - LABEL;
    onPick(Math.max(0, Math.min(1, x / (width - LABEL))) * end);
  };
  const counts = { user: 0, bot: 0 };
  for (const span of transcript.spans) counts[span.side] += 1;
  const label = `Who spoke when, over ${duration(end)}: ${counts.user} utterances of the user, ${counts.bot} of the bot`;
  return html`<canvas class="lanes" ref=${canvas} role="img" aria-label=${label} style=${{ height: `${HEIGHT}px` }} onClick=${pick} />`;
}

function draw(canvas, width, transcript, end, playhead) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, HEIGHT);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  const x = (ms) => LABEL + (ms / end) * (width - LABEL - 1);
  const y = { user: 0, bot: LANE + GAP };
  context.fillStyle = color("track");
  for (const side of ["user", "bot"]) context.fillRect(LABEL, y[side], width - LABEL, LANE);
  context.fillStyle = color("soft");
  context.fillText("User", 0, LANE / 2);
  context.fillText("Bot", 0, LANE * 1.5 + GAP);
  for (const span of transcript.spans) drawSpan(context, span, x, y[span.side]);
  drawOverlaps(context, transcript.spans, x);
  drawAxis(context, x, end, width);
  for (const mark of transcript.marks) {
    context.fillStyle = color("bad");
    context.fillRect(x(mark.at) - 1, LANE + GAP / 2 - 5, 3, 10);
  }
  if (playhead === null) return;
  context.fillStyle = color("front");
  context.fillRect(x(playhead) - 0.75, 0, 1.5, 2 * LANE + GAP);
  context.globalAlpha = 0.55;
  context.fillStyle = color("box");
  context.fillRect(x(playhead) + 1, 0, width - x(playhead), 2 * LANE + GAP);
  context.globalAlpha = 1;
}

function drawSpan(context, span, x, y) {
  const [from, to] = [x(span.start), Math.max(x(span.end), x(span.start) + 1.5)];
  context.fillStyle = color(span.side);
  context.beginPath();
  context.roundRect(from, y + 2, to - from, LANE - 4, Math.min(4, (to - from) / 2));
  context.fill();
  if (!span.interrupted) return;
  context.fillStyle = color("warn");
  context.fillRect(to - 2.5, y, 2.5, LANE);
}

/** Where both spoke at once: barge-in. Spans begin nearly in order, so a few before each are enough to look at. */
function drawOverlaps(context, spans, x) {
  context.fillStyle = color("warn");
  context.globalAlpha = 0.35;
  for (let index = 1; index < spans.length; index += 1) {
    for (let before = Math.max(0, index - 4); before < index; before += 1) {
      const [a, b] = [spans[before], spans[index]];
      const [from, to] = [Math.max(a.start, b.start), Math.min(a.end, b.end)];
      if (a.side !== b.side && from < to) context.fillRect(x(from), 0, Math.max(1.5, x(to) - x(from)), 2 * LANE + GAP);
    }
  }
  context.globalAlpha = 1;
}

function drawAxis(context, x, end, width) {
  const wanted = (end / 1000) * (70 / (width - LABEL));
  const step = (STEPS.find((seconds) => seconds >= wanted) ?? Math.ceil(wanted / 36000) * 36000) * 1000;
  context.fillStyle = color("soft");
  for (let ms = 0; ms <= end; ms += step) {
    context.fillRect(x(ms), 2 * LANE + GAP, 1, 4);
    const text = duration(ms);
    const room = context.measureText(text).width;
    context.fillText(text, Math.min(width - room, Math.max(LABEL, x(ms) - room / 2)), 2 * LANE + GAP + 11);
  }
}
