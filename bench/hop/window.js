// How many messages a sender may have out that nobody has answered for. As many as ZeroMQ allows itself.
const SIZE = 1000;

export class Window {
  #out = 0;
  #waiting = null;

  /** Settles when there is room for one more. */
  async enter() {
    while (this.#out >= SIZE) await this.#change();
    this.#out++;
  }

  leave() {
    this.#out--;
    this.#waiting?.open();
    this.#waiting = null;
  }

  async empty() {
    while (this.#out > 0) await this.#change();
  }

  #change() {
    if (!this.#waiting) {
      let open;
      const changed = new Promise((resolve) => {
        open = resolve;
      });
      this.#waiting = { changed, open };
    }
    return this.#waiting.changed;
  }
}
