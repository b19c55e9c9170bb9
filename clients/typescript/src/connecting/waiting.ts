import { Stopped, TimedOut } from "../errors.ts";

/** Return the milliseconds of a clock that never goes back. */
export function now(): number {
  return performance.now();
}

/** Call back at the given time; return a function that prevents it. */
export function later(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}

/** Wait, unless `stop` is aborted: then throw Stopped. */
export function sleep(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopped = () => {
      cancel();
      reject(new Stopped());
    };
    const cancel = later(ms, () => {
      stop.removeEventListener("abort", stopped);
      resolve();
    });
    if (stop.aborted) stopped();
    else stop.addEventListener("abort", stopped, { once: true });
  });
}

/** Return what the promise gives. Throws TimedOut with the text if that takes longer; undefined sets no limit. */
export async function within<T>(ms: number | undefined, promise: T | Promise<T>, text: string): Promise<T> {
  if (ms === undefined) return promise;
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    cancel = later(ms, () => reject(new TimedOut(text)));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}

/** Wakes everyone who waits for a change. */
export class Notice {
  #waiting: (() => void)[] = [];

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
