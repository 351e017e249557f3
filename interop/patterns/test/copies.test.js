import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const folders = JSON.parse(read('package.json')).workspaces;

test('broker.js is the same in every folder: each can be copied alone, and none lags behind', () => {
  for (const folder of folders) assert.equal(read(`${folder}/broker.js`), read(`${folders[0]}/broker.js`), folder);
});

test('every folder says how to run it: npm install, npm start', () => {
  for (const folder of folders) {
    assert.match(read(`${folder}/README.md`), /^ {4}npm install\n {4}npm start$/m, folder);
    assert.ok(JSON.parse(read(`${folder}/package.json`)).scripts.start, folder);
  }
});
