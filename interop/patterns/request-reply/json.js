// How values travel, and how the answer of a request that failed is told from one that did not.

export const CONTENT_TYPE = 'application/json';
/** The property `type` of an answer whose body is an error's message. */
export const FAILURE = 'failure';

// JSON knows no undefined; a handler that returns nothing answers null.
export const encode = (value) => Buffer.from(JSON.stringify(value ?? null));
export const decode = ({ content }) => JSON.parse(content);
