// The words that are tried: all of one to `length` letters, numbered from 0: a, b, ... z, aa, ab, ...

import { createHash } from 'node:crypto';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const ALGORITHMS = { 32: 'md5', 40: 'sha1', 64: 'sha256' };
// How many words are tried at a stretch, before the worker looks after its connection again.
const STRETCH = 2000;

/** How many words have one to `length` letters. */
export function wordCount(length) {
  let count = 0;
  for (let letters = 1; letters <= length; letters++) count += LETTERS.length ** letters;
  return count;
}

export function wordAt(index) {
  let word = '';
  for (let rest = index; rest >= 0; rest = Math.floor(rest / LETTERS.length) - 1) {
    word = LETTERS[rest % LETTERS.length] + word;
  }
  return word;
}

/** The name of the algorithm, by the length of the hash sum in hexadecimal digits; undefined for no known one. */
export const algorithmOf = (hash) => (/^[0-9a-f]+$/.test(hash) ? ALGORITHMS[hash.length] : undefined);

/** The word from number `from` up to and without `to` that has this hash sum, or null. Calls `rest` again and again. */
export async function search({ hash, from, to }, rest) {
  const algorithm = algorithmOf(hash);
  for (let start = from; start < to; start += STRETCH) {
    for (let index = start; index < Math.min(start + STRETCH, to); index++) {
      const word = wordAt(index);
      if (createHash(algorithm).update(word).digest('hex') === hash) return word;
    }
    await rest();
  }
  return null;
}
