// The replay of a call: a playhead that moves at the speed of the call, or four times as fast.
import { duration, spokenDuration } from "../data/times.js";
import { html, useEffect, useKey, useRef, useState } from "./view.js";

const SPEEDS = [1, 4];
const TICK_MS = 50;

/** `playhead` and `end` are in milliseconds of the call. A `playhead` of null follows the end. */
export function Player({ end, playhead, setPlayhead, children }) {
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(1);
  const at = useRef(0);
  const last = useRef(0);
  at.current = playhead ?? end;
  last.current = end;

  useEffect(() => {
    if (!playing) return undefined;
    let before = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      const next = at.current + (now - before) * speed;
      before = now;
      if (next >= last.current) {
        setPlaying(false);
        setPlayhead(null);
      } else {
        setPlayhead(next);
      }
    }, TICK_MS);
    return () => clearInterval(timer);
  }, [playing, speed]);

  const play = () => {
    if (!playing && (playhead === null || playhead >= end)) setPlayhead(0);
    setPlaying(!playing);
  };
  useKey(" ", play);
  const seek = (event) => {
    const ms = Number(event.currentTarget.value);
    setPlayhead(ms >= end ? null : ms);
  };
  const toLatest = () => {
    setPlaying(false);
    setPlayhead(null);
  };
  return html`<div class="player" role="group" aria-label="Replay">
    <button type="button" class="play" onClick=${play} aria-label=${playing ? "Pause" : "Replay"}>${playing ? "❚❚" : "▶"}</button>
    <input type="range" min="0" max=${Math.ceil(end)} step="100" value=${Math.round(at.current)} aria-label="Place in the call"
      aria-valuetext=${`${spokenDuration(at.current)} of ${spokenDuration(end)}`} onInput=${seek} />
    <span class="where">${duration(at.current)} / ${duration(end)}</span>
    <div class="speeds" role="group" aria-label="Speed">
      ${SPEEDS.map((each) => html`<button type="button" key=${each} aria-pressed=${speed === each} onClick=${() => setSpeed(each)}>${each}×</button>`)}
    </div>
    <button type="button" disabled=${playhead === null} onClick=${toLatest}>Latest</button>
    ${children}
  </div>`;
}
