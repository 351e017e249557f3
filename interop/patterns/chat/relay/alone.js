// Step one: a single instance. Messages go round in this process, and no broker is needed.

import { EventEmitter } from 'node:events';

export class AloneRelay extends EventEmitter {
  up = true;

  async open() {}

  async publish(message) {
    this.emit('message', message);
  }

  async follow() {}

  async unfollow() {}
}
