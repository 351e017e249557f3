/**
 * Whether a topic pattern of AMQP takes a room: words between dots; `*` is any one word, `#` any number of words, also
 * none.
 */
export function matches(pattern, room) {
  return wordsMatch(pattern.split('.'), room.split('.'));
}

function wordsMatch([wanted, ...patternRest], words) {
  if (wanted === undefined) return words.length === 0;
  if (wanted === '#') return words.some((_, at) => wordsMatch(patternRest, words.slice(at))) || wordsMatch(patternRest, []);
  if (words.length === 0) return false;
  return (wanted === '*' || wanted === words[0]) && wordsMatch(patternRest, words.slice(1));
}
