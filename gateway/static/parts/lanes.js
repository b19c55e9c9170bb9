// Who spoke when: two lanes along the time of the call.

import { duration } from "../data/times.js";
import { color, useTheme } from "./colors.js";
import { html, useLayoutEffect, useMemo, useRef, useState } from "./view.js";

const LANE = 22;
const GAP = 4;
const LABEL = 38;
const AXIS = 18;
const HEIGHT = 2 * LANE + GAP + AXIS;
const TOP = { user: 0, bot: LANE + GAP };
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000];

const CROWDED_PX = 3;

/** `end` and `playhead` are in milliseconds of the call; `playhead` is null at the end. A click calls `onPick(ms)`. */
export function Lanes({ transcript, end, version, playhead, onPick }) {
  const canvas = useRef(null);
  const [width, setWidth] = useState(0);
  const theme = useTheme();
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setWidth(canvas.current?.clientWidth ?? 0));
    observer.observe(canvas.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (width) draw(canvas.current, width, transcript, end);
  }, [width, theme, version, transcript, end]);

  const pick = (event) => {
    const x = event.clientX - canvas.current.getBoundingClientRect().left - LABEL;
    onPick(Math.max(0, Math.min(1, x / (width - LABEL))) * end);
  };
  const label = useMemo(() => spokenLabel(transcript, end), [version, transcript, end]);
  // The part after the playhead is an element over the canvas: it moves 20 times a second, and a long call is slow to draw.
  const left = `${Math.round(LABEL + ((playhead ?? 0) / end) * (width - LABEL - 1))}px`;
  return html`<div class="lanes">
    <canvas ref=${canvas} role="img" aria-label=${label} style=${{ height: `${HEIGHT}px` }} onClick=${pick} />
    ${playhead !== null && html`<i class="to-come" style=${{ left, height: `${2 * LANE + GAP}px` }} />`}
  </div>`;
}

function spokenLabel({ spans }, end) {
  const users = spans.filter((span) => span.side === "user").length;
  return `Who spoke when, over ${duration(end)}: ${users} utterances of the user, ${spans.length - users} of the bot`;
}

function draw(canvas, width, { spans, marks }, end) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, HEIGHT);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  const x = (ms) => LABEL + (ms / end) * (width - LABEL - 1);
  const colors = Object.fromEntries(["track", "soft", "user", "bot", "warn", "bad"].map((name) => [name, color(name)]));
  context.fillStyle = colors.track;
  for (const side of ["user", "bot"]) context.fillRect(LABEL, TOP[side], width - LABEL, LANE);
  context.fillStyle = colors.soft;
  context.fillText("User", 0, LANE / 2);
  context.fillText("Bot", 0, LANE * 1.5 + GAP);
  if (spans.length * CROWDED_PX > 2 * (width - LABEL)) drawCrowd(context, spans, x, width, colors);
  else for (const span of spans) drawSpan(context, span, x, colors);
  drawOverlaps(context, spans, x, colors);
  drawAxis(context, x, end, width, colors);
  context.fillStyle = colors.bad;
  for (const mark of marks) context.fillRect(x(mark.at) - 1, LANE + GAP / 2 - 5, 3, 10);
}

function drawSpan(context, span, x, colors) {
  const isAside = span.source === "backchannel";
  const top = TOP[span.side] + (isAside ? LANE / 4 : 0);
  const height = isAside ? LANE / 2 : LANE;
  const [from, to] = [x(span.start), Math.max(x(span.end), x(span.start) + 1.5)];
  context.fillStyle = colors[span.side];
  context.beginPath();
  context.roundRect(from, top + 2, to - from, height - 4, Math.min(4, (to - from) / 2));
  context.fill();
  if (!span.interrupted) return;
  context.fillStyle = colors.warn;
  context.fillRect(to - 2.5, top, 2.5, height);
}

/** Draw more spans than can be told apart: the opacity of each pixel is the share of its time that was spoken in. */
function drawCrowd(context, spans, x, width, colors) {
  for (const side of ["user", "bot"]) {
    const spoken = new Float32Array(Math.ceil(width) + 1);
    for (const span of spans) {
      if (span.side !== side) continue;
      const [from, to] = [x(span.start), x(span.end)];
      for (let pixel = Math.floor(from); pixel < to; pixel += 1) {
        spoken[pixel] += Math.min(to, pixel + 1) - Math.max(from, pixel);
      }
    }
    context.fillStyle = colors[side];
    spoken.forEach((part, pixel) => {
      context.globalAlpha = Math.min(1, part);
      if (part) context.fillRect(pixel, TOP[side] + 2, 1, LANE - 4);
    });
    context.globalAlpha = 1;
  }
}

/** Draw where both spoke at once. Spans begin nearly in order, so each is compared with a few before it. */
function drawOverlaps(context, spans, x, colors) {
  context.fillStyle = colors.warn;
  context.globalAlpha = 0.35;
  for (let index = 1; index < spans.length; index += 1) {
    for (let before = Math.max(0, index - 4); before < index; before += 1) {
      const [a, b] = [spans[before], spans[index]];
      const [from, to] = [Math.max(a.start, b.start), Math.min(a.end, b.end)];
      if (a.side !== b.side && from < to && isTalk(a) && isTalk(b))
        context.fillRect(x(from), 0, Math.max(1.5, x(to) - x(from)), 2 * LANE + GAP);
    }
  }
  context.globalAlpha = 1;
}

const isTalk = ({ source }) => source === "speech";

function drawAxis(context, x, end, width, colors) {
  const wanted = (end / 1000) * (70 / (width - LABEL));
  const step = (STEPS.find((seconds) => seconds >= wanted) ?? Math.ceil(wanted / 36000) * 36000) * 1000;
  context.fillStyle = colors.soft;
  for (let ms = 0; ms <= end; ms += step) {
    context.fillRect(x(ms), 2 * LANE + GAP, 1, 4);
    const text = duration(ms);
    const room = context.measureText(text).width;
    context.fillText(text, Math.min(width - room, Math.max(LABEL, x(ms) - room / 2)), 2 * LANE + GAP + 11);
  }
}
