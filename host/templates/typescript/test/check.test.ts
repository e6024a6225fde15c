import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { check } from '../src/check.js';

const URL = 'https://example.com/';

/** Lets `fetch` answer so, for the length of a test. */
function answer(t: TestContext, status: number, body: string) {
  return t.mock.method(globalThis, 'fetch', async () => new Response(body, { status })).mock;
}

test('an answer is summed up', async (t) => {
  const fake = answer(t, 200, 'hello');
  assert.equal(await check(URL), 'https://example.com/ answered 200 with 5 bytes');
  assert.deepEqual(fake.calls[0]?.arguments, [URL]);
});

test('a service that is down is a failure', async (t) => {
  answer(t, 503, '');
  await assert.rejects(check(URL), { message: 'https://example.com/ answered 503' });
});
