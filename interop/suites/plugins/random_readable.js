// Stands in for the package random-readable, which is no longer to be had: random bytes without end.
const { randomBytes } = require('crypto');
const { Readable } = require('stream');

exports.createRandomStream = () =>
  new Readable({
    read(size) {
      this.push(randomBytes(size));
    },
  });
