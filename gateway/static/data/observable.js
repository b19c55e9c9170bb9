/** Something that changes. Watchers are told once a frame at most, and no more often than every `interval` ms. */
export class Observable {
  #watchers = new Set();
  #due = null;
  #told = 0;

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
    const wait = Math.max(0, this.#told + this.interval - performance.now());
    const frame = () => (document.hidden ? this.#tell() : requestAnimationFrame(() => this.#tell()));
    this.#due = setTimeout(frame, wait);
  }

  #tell() {
    this.#due = null;
    this.#told = performance.now();
    for (const watcher of [...this.#watchers]) watcher();
  }
}
