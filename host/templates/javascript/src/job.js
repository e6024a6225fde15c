// What the host calls, and what the job asks of the host. The work itself is in `check.js`, where tests reach it.

import { get } from 'soloist:job/config@0.1.0';
import { log } from 'soloist:job/log@0.1.0';
import { check } from './check.js';

/**
 * Does the job once. Returns a one-line summary for people, or throws a failure: `retry` where another attempt can help,
 * `final` where none can.
 */
export async function run(context) {
  const url = get('url');
  if (url === undefined) throw { tag: 'final', val: 'the setting `url` is missing' };
  log('info', `round ${context.round}, attempt ${context.attempt}: asking ${url}`);
  try {
    return await check(url);
  } catch (error) {
    throw { tag: 'retry', val: error?.message ?? String(error) };
  }
}
