// Step two: several instances. Every message goes to every instance, which picks what its pages follow.

import { BrokerRelay } from './broker_relay.js';

export class FanoutRelay extends BrokerRelay {
  constructor() {
    super('chat.everything', 'fanout');
  }

  keys() {
    return [''];
  }

  async follow() {}

  async unfollow() {}
}
