// Step three: rooms. The room is the routing key, and an instance gets only rooms that some page of its follows.

import { BrokerRelay } from './broker_relay.js';

export class RoomsRelay extends BrokerRelay {
  #followers = new Map();

  constructor() {
    super('chat', 'topic');
  }

  keys() {
    return this.#followers.keys();
  }

  async follow(pattern) {
    const followers = (this.#followers.get(pattern) ?? 0) + 1;
    this.#followers.set(pattern, followers);
    if (followers === 1) await this.bind(pattern);
  }

  async unfollow(pattern) {
    const followers = this.#followers.get(pattern) - 1;
    if (followers > 0) {
      this.#followers.set(pattern, followers);
    } else {
      this.#followers.delete(pattern);
      await this.unbind(pattern);
    }
  }
}
