// The last keys that were asked for, with their servers. A hit costs one look into a map and a mark;
// when there is no more room the hand goes round, and the first key not marked since its last round
// makes way ("clock", which is nearly "least recently used").
export class KeyCache {
  #max;
  #slots = new Map();
  #keys = [];
  #values = [];
  #isMarked = [];
  #hand = 0;

  // `max`, the most keys: 0 is no cache, and what is no number has no limit.
  constructor(max) {
    this.#max = Number.isNaN(Number(max)) ? Infinity : Number(max);
  }

  get(key) {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    this.#isMarked[slot] = true;
    return this.#values[slot];
  }

  set(key, value) {
    if (this.#max < 1) return;
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#keys.length < this.#max ? this.#keys.length : this.#freed();
      this.#slots.set(key, slot);
      this.#keys[slot] = key;
      this.#isMarked[slot] = false;
    }
    this.#values[slot] = value;
  }

  // Gives every key of `from` to `to`.
  replace(from, to) {
    this.#values = this.#values.map((value) => (value === from ? to : value));
  }

  forEach(callback) {
    for (const [key, slot] of this.#slots) callback(this.#values[slot], key);
  }

  reset() {
    this.#slots.clear();
    this.#keys = [];
    this.#values = [];
    this.#isMarked = [];
    this.#hand = 0;
  }

  #freed() {
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#keys.length;
      if (!this.#isMarked[slot]) {
        this.#slots.delete(this.#keys[slot]);
        return slot;
      }
      this.#isMarked[slot] = false;
    }
  }
}
