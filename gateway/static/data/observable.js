/** An object that changes. Watchers are called at most once per frame, and at most once per `interval` milliseconds. */
export class Observable {
  #watchers = new Set();
  #due = null;
  #notifiedAt = 0;

  constructor(interval = 0) {
    this.interval = interval;
    this.version = 0;
  }

  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  changed() {
    this.version += 1;
    if (this.#due !== null) return;
    const wait = Math.max(0, this.#notifiedAt + this.interval - performance.now());
    const frame = () => (document.hidden ? this.#notify() : requestAnimationFrame(() => this.#notify()));
    this.#due = setTimeout(frame, wait);
  }

  #notify() {
    this.#due = null;
    this.#notifiedAt = performance.now();
    for (const watcher of [...this.#watchers]) watcher();
  }
}
