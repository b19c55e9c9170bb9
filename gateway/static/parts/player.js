// The replay of a call: a place in its time, that moves once or four times as fast as the call did.
import { duration, spokenDuration } from "../data/times.js";
import { html, useEffect, useRef, useState } from "./view.js";

const SPEEDS = [1, 4];
const TICK_MS = 50;

/** `playhead` is in milliseconds of the call; null is its end, whatever comes. */
export function Player({ transcript, playhead, setPlayhead }) {
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState(1);
  const at = useRef(0);
  at.current = playhead ?? transcript.end;

  useEffect(() => {
    if (!playing) return undefined;
    let before = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      const next = at.current + (now - before) * speed;
      before = now;
      if (next >= transcript.end) {
        setPlaying(false);
        setPlayhead(null);
      } else {
        setPlayhead(next);
      }
    }, TICK_MS);
    return () => clearInterval(timer);
  }, [playing, speed, transcript]);

  const play = () => {
    if (!playing && (playhead === null || playhead >= transcript.end)) setPlayhead(0);
    setPlaying(!playing);
  };
  const seek = (event) => {
    const ms = Number(event.currentTarget.value);
    setPlayhead(ms >= transcript.end ? null : ms);
  };
  const toEnd = () => {
    setPlaying(false);
    setPlayhead(null);
  };
  return html`<div class="player" role="group" aria-label="Replay">
    <button type="button" class="play" onClick=${play} aria-label=${playing ? "Pause" : "Replay"}>${playing ? "❚❚" : "▶"}</button>
    <input type="range" min="0" max=${Math.ceil(transcript.end)} step="100" value=${Math.round(at.current)} aria-label="Place in the call"
      aria-valuetext=${`${spokenDuration(at.current)} of ${spokenDuration(transcript.end)}`} onInput=${seek} />
    <span class="where">${duration(at.current)} / ${duration(transcript.end)}</span>
    <div class="speeds" role="group" aria-label="Speed">
      ${SPEEDS.map((each) => html`<button type="button" key=${each} aria-pressed=${speed === each} onClick=${() => setSpeed(each)}>${each}×</button>`)}
    </div>
    <button type="button" disabled=${playhead === null} onClick=${toEnd}>End</button>
  </div>`;
}
